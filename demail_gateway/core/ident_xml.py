"""The SAML assertion of an Ident-Bestätigung, read from verified octets (TR 01201-4.4 §2.2 to §2.7; ID-1, ID-2).

Read tolerantly: the tables, the schema and the example of the guideline disagree about cards, so a card is found by its
name, its fields are kept as they are, in their order, and nothing but the shape of the assertion around it is judged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from xml.etree.ElementTree import Element

from demail_gateway.core.errors import XmlRefused
from demail_gateway.core.xml_tree import parse_xml, time_of

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
ASSERTION = f"{{{SAML}}}Assertion"
"""Root element of an Ident-Bestätigung."""
EMAIL_ADDRESS = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
"""Format of Issuer and NameID (ID-1)."""


class CardKind(StrEnum):
    """Ident-Karten (TR 01201-4.4 §2.2 to §2.5)."""

    LEGAL_PERSON = "LegalPerson"
    NATURAL_PERSON = "NaturalPerson"
    ADDRESS = "Address"
    AGE = "Age"
    AGE_OVER_16 = "AgeOver16"
    AGE_OVER_18 = "AgeOver18"
    DEMAIL_ADDRESS = "DeMailAddress"


@dataclass(frozen=True, slots=True)
class CardField:
    """One attribute of a person or institution."""

    name: str
    value: str = field(repr=False)
    validated_at: datetime | None
    """When it was last verified, UTC; None if not told, or not readable."""


@dataclass(frozen=True, slots=True)
class IdentCard:
    """An Ident-Karte: what is confirmed."""

    kind: CardKind
    fields: tuple[CardField, ...] = field(repr=False)
    """In their order; names that the guideline does not know are kept."""

    def values(self, name: str) -> tuple[str, ...]:
        """All values of this name: there may be several representatives."""
        return tuple(each.value for each in self.fields if each.name == name)


@dataclass(frozen=True, slots=True)
class IdentAssertion:
    """What the assertion says; None where it does not say it, or not once."""

    id: str | None
    issued_at: datetime | None
    issuer: str | None = field(repr=False)
    """De-Mail address of the provider."""
    subject: str | None = field(repr=False)
    """De-Mail address of the ordering user."""
    audience: str | None = field(repr=False)
    """De-Mail address of the receiver, the service provider."""
    not_before: datetime | None
    not_on_or_after: datetime | None
    """Limits of its validity; the guideline sets none, SAML allows them. One that is there and cannot be read is no
    absent one: ``assertion-conditions``."""
    authenticated_at: datetime | None
    """Last login of the ordering user."""
    auth_context: str | None
    """The means of that login."""
    cards: tuple[IdentCard, ...]
    """Exactly one in an assertion as it should be."""
    findings: tuple[str, ...] = ()
    """What is not as §2.6 asks: those of `SHAPE_ERRORS`, and ``assertion-name-format``, ``assertion-unused:<name>``,
    ``time-without-zone``, ``validation-time-missing``, `VALIDATION_TIME_UNREADABLE`."""


SHAPE_ERRORS = frozenset(
    {
        "assertion-version",
        "assertion-id",
        "assertion-issue-instant",
        "assertion-issuer",
        "assertion-subject",
        "assertion-conditions",
        "assertion-authn-statement",
        "assertion-attribute-statement",
    }
)
"""Findings without which an assertion is none of this guideline: exactly one of each (ID-3)."""

VALIDATION_TIME_UNREADABLE = "validation-time-unreadable"
"""A field says when it was verified, but not as xs:dateTime: whether that was before the issue is not known."""


def read_assertion(xml: bytes) -> IdentAssertion:
    """The assertion in verified canonical octets, which its signature is no part of.

    Raises:
        XmlRefused: it must not be read, or its root is no Assertion.
    """
    root = parse_xml(xml)
    if root.tag != ASSERTION:
        raise XmlRefused("another root element")
    return _Reader(root).assertion()


_PARTS = ("Issuer", "Subject", "Conditions", "AuthnStatement", "AttributeStatement")
_CARDS = {kind.value: kind for kind in CardKind}


class _Reader:
    """Collects the findings on the way."""

    def __init__(self, root: Element) -> None:
        self.root = root
        self.findings: list[str] = []

    def assertion(self) -> IdentAssertion:
        root = self.root
        if root.get("Version") != "2.0":
            self.findings.append("assertion-version")
        if not root.get("ID"):
            self.findings.append("assertion-id")
        issued_at = self.time(root.get("IssueInstant"), "assertion-issue-instant")
        unused = (_local(child.tag) for child in root if child.tag not in map(_saml, _PARTS))
        self.findings += [f"assertion-unused:{name}" for name in unused]
        issuer, subject = self.issuer(), self.subject()
        conditions, audience = self.audience()
        authenticated_at, auth_context = self.authentication()
        cards = self.cards()
        return IdentAssertion(
            id=root.get("ID"),
            issued_at=issued_at,
            issuer=issuer,
            subject=subject,
            audience=audience,
            not_before=self.optional_time(conditions.get("NotBefore"), "assertion-conditions"),
            not_on_or_after=self.optional_time(conditions.get("NotOnOrAfter"), "assertion-conditions"),
            authenticated_at=authenticated_at,
            auth_context=auth_context,
            cards=cards,
            findings=tuple(dict.fromkeys(self.findings)),
        )

    def issuer(self) -> str | None:
        return self.name(_only(self.root, "Issuer"), "assertion-issuer")

    def subject(self) -> str | None:
        """Nothing but a NameID."""
        subject = _only(self.root, "Subject")
        lonely = subject if subject is not None and len(subject) == 1 else None
        return self.name(_only(lonely, "NameID"), "assertion-subject")

    def audience(self) -> tuple[Element, str | None]:
        """One restriction to one audience, and no condition beside it that nobody here understands (SAML §2.5.1)."""
        conditions = _only(self.root, "Conditions")
        lonely = conditions if conditions is not None and len(conditions) == 1 else None
        audience = _only(_only(lonely, "AudienceRestriction"), "Audience")
        if audience is None:
            self.findings.append("assertion-conditions")
        return Element("none") if conditions is None else conditions, _text(audience)

    def authentication(self) -> tuple[datetime | None, str | None]:
        statement = _only(self.root, "AuthnStatement")
        context = _only(_only(statement, "AuthnContext"), "AuthnContextClassRef")
        if statement is None or context is None:
            self.findings.append("assertion-authn-statement")
        instant = None if statement is None else self.time(statement.get("AuthnInstant"), "assertion-authn-statement")
        return instant, _text(context)

    def cards(self) -> tuple[IdentCard, ...]:
        attribute = _only(_only(self.root, "AttributeStatement"), "Attribute")
        if attribute is None or attribute.get("Name") != "Card":
            self.findings.append("assertion-attribute-statement")
            return ()
        found = (node for value in attribute.findall(_saml("AttributeValue")) for node in value.iter())
        return tuple(self.card(node, _CARDS[_local(node.tag)]) for node in found if _local(node.tag) in _CARDS)

    def card(self, element: Element, kind: CardKind) -> IdentCard:
        return IdentCard(kind, tuple(map(self.field, element)))

    def field(self, element: Element) -> CardField:
        told = element.get("validationTime")
        if told is None:
            self.findings.append("validation-time-missing")
        validated_at = self.optional_time(told, VALIDATION_TIME_UNREADABLE)
        return CardField(_local(element.tag), _text(element) or "", validated_at)

    def name(self, element: Element | None, finding: str) -> str | None:
        text = _text(element)
        if element is None or not text:
            self.findings.append(finding)
            return None
        if element.get("Format") != EMAIL_ADDRESS:
            self.findings.append("assertion-name-format")
        return text

    def time(self, text: str | None, finding: str) -> datetime | None:
        moment = time_of(text, self.findings)
        if moment is None:
            self.findings.append(finding)
        return moment

    def optional_time(self, text: str | None, finding: str) -> datetime | None:
        """One that may be absent, but not unreadable."""
        return None if text is None else self.time(text, finding)


def _only(parent: Element | None, name: str) -> Element | None:
    """The one child of this name; None if there is none, or more."""
    found = _children(parent, name)
    child = next(found, None)
    return child if next(found, None) is None else None


def _children(parent: Element | None, name: str) -> Iterator[Element]:
    return iter(()) if parent is None else parent.iterfind(_saml(name))


def _text(element: Element | None) -> str | None:
    return None if element is None else (element.text or "").strip()


def _saml(name: str) -> str:
    return f"{{{SAML}}}{name}"


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
