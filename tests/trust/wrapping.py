"""What can be done to a signed document so that one reader verifies this and another believes that (CO-14, ID-3)."""

from __future__ import annotations

from collections.abc import Callable

from lxml import etree

DS = "{http://www.w3.org/2000/09/xmldsig#}"
Attack = Callable[[etree._Element], etree._Element]
"""From the root of a signed document to the root of another one, which must be refused."""


def _signature(root: etree._Element) -> etree._Element:
    return next(root.iter(DS + "Signature"))


def _evil(root: etree._Element) -> etree._Element:
    """What the attacker wants to be believed: the document without signature, one text changed."""
    copy = etree.fromstring(etree.tostring(root))
    copy.remove(_signature(copy))
    next(node for node in copy.iter(etree.Element) if (node.text or "").strip()).text = "gefälscht"
    return copy


def wrap_original_inside_evil_root(root: etree._Element) -> etree._Element:
    evil, signature = _evil(root), _signature(root)
    etree.SubElement(evil, "Wrapper").append(root)
    evil.append(signature)
    return evil


def wrap_with_reference_by_id(root: etree._Element) -> etree._Element:
    evil, signature = _evil(root), _signature(root)
    root.set("Id", "original")
    for reference in signature.iter(DS + "Reference"):
        reference.set("URI", "#original")
    evil.append(root)
    evil.append(signature)
    return evil


def leave_original_with_its_signature_inside(root: etree._Element) -> etree._Element:
    evil = _evil(root)
    evil.append(root)
    return evil


def put_original_into_an_object(root: etree._Element) -> etree._Element:
    evil, signature = _evil(root), _signature(root)
    evil.append(signature)
    etree.SubElement(signature, DS + "Object").append(root)
    return evil


def add_a_second_signature(root: etree._Element) -> etree._Element:
    root.insert(0, etree.fromstring(etree.tostring(_signature(root))))
    return root


def add_an_element_behind(root: etree._Element) -> etree._Element:
    etree.SubElement(root, root[0].tag).text = "gefälscht"
    return root


def add_a_comment_behind(root: etree._Element) -> etree._Element:
    root.append(etree.Comment("x"))
    return root


def move_signature_down(root: etree._Element) -> etree._Element:
    root[0].append(_signature(root))
    return root


def make_signature_the_root(root: etree._Element) -> etree._Element:
    return _signature(root)


def add_a_second_reference(root: etree._Element) -> etree._Element:
    reference = next(root.iter(DS + "Reference"))
    reference.addnext(etree.fromstring(etree.tostring(reference)))
    return root


def put_a_comment_into_the_digest(root: etree._Element) -> etree._Element:
    next(root.iter(DS + "DigestValue")).append(etree.Comment("x"))
    return root


def put_an_element_into_the_digest(root: etree._Element) -> etree._Element:
    etree.SubElement(next(root.iter(DS + "DigestValue")), "x")
    return root


def take_the_certificate_away(root: etree._Element) -> etree._Element:
    data = next(root.iter(DS + "X509Data"))
    data.remove(data[0])
    return root


def take_key_info_away(root: etree._Element) -> etree._Element:
    _signature(root).remove(_signature(root)[-1])
    return root


def give_a_broken_certificate(root: etree._Element) -> etree._Element:
    next(root.iter(DS + "X509Certificate")).text = "AAAA"
    return root


def give_text_that_is_not_base64(root: etree._Element) -> etree._Element:
    next(root.iter(DS + "SignatureValue")).text = "ä"
    return root


def shorten_the_value(root: etree._Element) -> etree._Element:
    next(root.iter(DS + "SignatureValue")).text = "AAAA"
    return root


def add_an_attribute_that_is_inherited(root: etree._Element) -> etree._Element:
    root.set("{http://www.w3.org/XML/1998/namespace}lang", "de")
    return root


def use_a_relative_namespace(root: etree._Element) -> etree._Element:
    return etree.fromstring(etree.tostring(root).replace(b"urn:x", b"x/y"))


def add_unknown_parameter(name: str) -> Attack:
    def change(root: etree._Element) -> etree._Element:
        etree.SubElement(next(root.iter(DS + name)), DS + "HMACOutputLength").text = "0"
        return root

    change.__name__ = f"add_parameter_to_{name}"
    return change


def set_algorithm(name: str, algorithm: str) -> Attack:
    def change(root: etree._Element) -> etree._Element:
        list(root.iter(DS + name))[-1].set("Algorithm", algorithm)
        return root

    change.__name__ = f"set_{name}_{algorithm}"
    return change


def add_transform(algorithm: str) -> Attack:
    def change(root: etree._Element) -> etree._Element:
        etree.SubElement(next(root.iter(DS + "Transforms")), DS + "Transform", Algorithm=algorithm)
        return root

    change.__name__ = f"add_transform_{algorithm}"
    return change


def drop_enveloped(root: etree._Element) -> etree._Element:
    transforms = next(root.iter(DS + "Transforms"))
    transforms.remove(transforms[0])
    return root


def rename_a_transform(root: etree._Element) -> etree._Element:
    next(root.iter(DS + "Transform")).tag = "Transform"
    return root


def rename_the_identifier(name: str) -> Attack:
    def change(root: etree._Element) -> etree._Element:
        root.set(name, root.attrib.pop("ID"))
        return root

    change.__name__ = f"rename_the_identifier_to_{name}"
    return change


def set_reference(uri: str) -> Attack:
    def change(root: etree._Element) -> etree._Element:
        next(root.iter(DS + "Reference")).set("URI", uri)
        return root

    change.__name__ = f"set_reference_{uri}"
    return change


def take_the_reference_away(root: etree._Element) -> etree._Element:
    del next(root.iter(DS + "Reference")).attrib["URI"]
    return root


def refer_to_the_original_inside(place: str) -> Attack:
    """The evil root has an identifier of its own and bears the signature of the original, which is hidden in it."""

    def change(root: etree._Element) -> etree._Element:
        evil, signature = _evil(root), _signature(root)
        evil.set("ID", "_evil")
        evil.insert(1, signature)
        etree.SubElement(signature if place == "Object" else evil, place).append(root)
        return evil

    change.__name__ = f"refer_to_the_original_inside_{place}"
    return change


def refer_to_a_twin_with_the_same_identifier(root: etree._Element) -> etree._Element:
    evil, signature = _evil(root), _signature(root)
    evil.insert(1, signature)
    etree.SubElement(evil, "Advice").append(root)
    return evil


def give_the_identifier_to_another(name: str) -> Attack:
    """The signed root with a second bearer of its identifier, so that a reader may look up the wrong one."""

    def change(root: etree._Element) -> etree._Element:
        etree.SubElement(_signature(root)[-1], "Twin").set(name, root.get("ID", ""))
        return root

    change.__name__ = f"give_the_identifier_to_another_as_{name}"
    return change


ASSERTION_ATTACKS = [
    *(refer_to_the_original_inside(place) for place in ("Object", "Advice", "Subject")),
    refer_to_a_twin_with_the_same_identifier,
    *(rename_the_identifier(name) for name in ("Id", "id", "AssertionID", "{http://www.w3.org/XML/1998/namespace}id")),
    *(give_the_identifier_to_another(name) for name in ("ID", "Id", "{http://www.w3.org/XML/1998/namespace}id")),
    *(set_reference(uri) for uri in ("#", "#other", "#xpointer(/)", "#xpointer(id('_4c1d2e'))", "file:///etc/passwd")),
    take_the_reference_away,
]
"""Beside `ATTACKS`: on a signature that names its root by identifier."""

ATTACKS = [
    wrap_original_inside_evil_root,
    wrap_with_reference_by_id,
    leave_original_with_its_signature_inside,
    put_original_into_an_object,
    add_a_second_signature,
    add_an_element_behind,
    add_a_comment_behind,
    move_signature_down,
    make_signature_the_root,
    add_a_second_reference,
    put_a_comment_into_the_digest,
    put_an_element_into_the_digest,
    take_the_certificate_away,
    take_key_info_away,
    give_a_broken_certificate,
    give_text_that_is_not_base64,
    shorten_the_value,
    add_an_attribute_that_is_inherited,
    use_a_relative_namespace,
    drop_enveloped,
    rename_a_transform,
    add_unknown_parameter("SignatureMethod"),
    add_unknown_parameter("DigestMethod"),
    add_unknown_parameter("CanonicalizationMethod"),
    set_algorithm("SignatureMethod", "http://www.w3.org/2000/09/xmldsig#rsa-sha1"),
    set_algorithm("SignatureMethod", "http://www.w3.org/2000/09/xmldsig#hmac-sha1"),
    set_algorithm("SignatureMethod", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"),
    set_algorithm("SignatureMethod", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"),
    set_algorithm("DigestMethod", "http://www.w3.org/2000/09/xmldsig#sha1"),
    set_algorithm("CanonicalizationMethod", "http://www.w3.org/TR/1999/REC-xpath-19991116"),
    set_algorithm("Transform", "http://www.w3.org/TR/1999/REC-xpath-19991116"),
    set_algorithm("Transform", "http://www.w3.org/TR/1999/REC-xslt-19991116"),
    set_algorithm("Transform", "http://www.w3.org/2000/09/xmldsig#base64"),
    add_transform("http://www.w3.org/2001/10/xml-exc-c14n#"),
]
