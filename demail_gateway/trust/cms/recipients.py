"""Recipients of encrypted CMS: who is meant, and how the content key comes out (RFC 5652 §6.2, RFC 3560, RFC 5753)."""

from __future__ import annotations

import os
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from demail_gateway.trust.certificates import parse_certificate
from demail_gateway.trust.cms.algorithms import (
    EC_PUBLIC_KEY,
    MGF1,
    P_SPECIFIED,
    RSA_ENCRYPTION,
    RSAES_OAEP,
    AlgorithmIdentifier,
    read_algorithm,
)
from demail_gateway.trust.cms.ciphers import OAEP_HASHES, READABLE_AGREEMENTS, READABLE_WRAPS, SHA1, agreed_key
from demail_gateway.trust.cms.content_info import subject_key_identifier
from demail_gateway.trust.cms.der import (
    BIT_STRING,
    CONTEXT,
    CONTEXT_CONSTRUCTED,
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    DerError,
    Element,
    Fields,
    issuer_and_serial,
)
from demail_gateway.trust.keys import PrivateKey, PublicKey
from demail_gateway.trust.policy import Mechanism, Use


@dataclass(frozen=True, slots=True)
class RecipientNames:
    """The two ways in which CMS names the holder of a certificate."""

    issuer_and_serial: bytes
    subject_key_identifier: bytes | None

    @classmethod
    def of(cls, certificate_der: bytes) -> RecipientNames:
        """Raises CertificateMalformed."""
        identifier = subject_key_identifier(parse_certificate(certificate_der))
        return cls(b"".join(issuer_and_serial(certificate_der)), identifier)

    def match(self, identifier: Element) -> bool:
        if identifier.tag == SEQUENCE:
            return identifier.value == self.issuer_and_serial
        if identifier.tag == CONTEXT:
            return identifier.value == self.subject_key_identifier
        # RecipientKeyIdentifier of a key agreement
        return Fields(identifier, CONTEXT_CONSTRUCTED).take(OCTET_STRING).value == self.subject_key_identifier


@dataclass(frozen=True, slots=True)
class KeyTransport:
    """KeyTransRecipientInfo: the content key encrypted to an RSA key."""

    identifier: Element
    algorithm: AlgorithmIdentifier
    wrapped: bytes

    def for_names(self, names: RecipientNames) -> bytes | None:
        return self.wrapped if names.match(self.identifier) else None

    def content_key(self, wrapped: bytes, key: PrivateKey, size: int) -> bytes | None:
        """The content key of `size` octets, or None.

        With PKCS #1 v1.5 never None for an RSA key: OpenSSL answers broken padding with random octets, and whatever
        else goes wrong becomes a random key too, so that nobody learns anything about the padding (RFC 3218 §2.3).
        """
        if not isinstance(key, rsa.RSAPrivateKey):
            return None
        instead = os.urandom(size) if self.algorithm.identifier == RSA_ENCRYPTION else None
        try:
            fill = _padding(self.algorithm)
            found = None if fill is None else key.decrypt(wrapped, fill)
        except ValueError:
            return instead
        return found if found is not None and len(found) == size else instead

    def mechanisms(self, key: PublicKey) -> tuple[Mechanism, ...]:
        """What a Policy is asked about."""
        name = _TRANSPORT_NAMES.get(self.algorithm.identifier, "unknown")
        return (Mechanism(Use.KEY_ENCRYPTION, name, key.key_size),)


@dataclass(frozen=True, slots=True)
class KeyAgreement:
    """KeyAgreeRecipientInfo: ECDH between an ephemeral key and those of one or several recipients."""

    originator: Element
    user_material: bytes | None
    algorithm: AlgorithmIdentifier
    recipients: tuple[tuple[Element, bytes], ...]

    def for_names(self, names: RecipientNames) -> bytes | None:
        return next((wrapped for identifier, wrapped in self.recipients if names.match(identifier)), None)

    def content_key(self, wrapped: bytes, key: PrivateKey, size: int) -> bytes | None:
        """The content key of `size` octets, or None: unlike padding, a broken key wrap gives nothing away."""
        hash_algorithm = READABLE_AGREEMENTS.get(self.algorithm.identifier)
        wrap = self.algorithm.parameters
        if not isinstance(key, ec.EllipticCurvePrivateKey) or hash_algorithm is None or wrap is None:
            return None
        try:
            wrap_bytes = READABLE_WRAPS[read_algorithm(wrap).identifier]
            public = _ephemeral_key(self.originator, key.curve)
            wrapping = agreed_key(key, public, hash_algorithm, wrap.raw, wrap_bytes, self.user_material)
            found = aes_key_unwrap(wrapping, wrapped)
        except (ValueError, KeyError, InvalidUnwrap):
            return None
        return found if len(found) == size else None

    def mechanisms(self, key: PublicKey) -> tuple[Mechanism, ...]:
        """What a Policy is asked about: the curve is that of the recipient's key."""
        used = [Mechanism(Use.KEY_ENCRYPTION, "ecdh", key.key_size)]
        hash_algorithm, wrap = READABLE_AGREEMENTS.get(self.algorithm.identifier), self.algorithm.parameters
        if hash_algorithm is not None:
            name = "sha-1" if hash_algorithm is SHA1 else "sha-2"
            used.append(Mechanism(Use.HASH, name, hash_algorithm.digest_size * 8))
        if wrap is not None:
            used.append(Mechanism(Use.KEY_WRAP, "aes-wrap", READABLE_WRAPS.get(read_algorithm(wrap).identifier, 0) * 8))
        if isinstance(key, ec.EllipticCurvePublicKey):
            used.append(Mechanism(Use.CURVE, key.curve.name))
        return tuple(used)


_TRANSPORT_NAMES = {RSA_ENCRYPTION: "rsaes-pkcs1-v1_5", RSAES_OAEP: "rsaes-oaep"}


def read_recipient(element: Element) -> KeyTransport | KeyAgreement | None:
    """One RecipientInfo; None for those by password or shared key. Raises DerError."""
    if element.tag == SEQUENCE:
        return _read_transport(Fields(element))
    if element.tag == CONTEXT_CONSTRUCTED | 1:
        return _read_agreement(Fields(element, CONTEXT_CONSTRUCTED | 1))
    return None


def _read_transport(fields: Fields) -> KeyTransport:
    fields.take(INTEGER)
    identifier = fields.take(SEQUENCE, CONTEXT)
    algorithm = read_algorithm(fields.take(SEQUENCE))
    wrapped = fields.take(OCTET_STRING).value
    fields.done()
    return KeyTransport(identifier, algorithm, wrapped)


def _read_agreement(fields: Fields) -> KeyAgreement:
    fields.take(INTEGER)
    originator = Fields(fields.take(CONTEXT_CONSTRUCTED), CONTEXT_CONSTRUCTED).take()
    material = fields.maybe(CONTEXT_CONSTRUCTED | 1)
    algorithm = read_algorithm(fields.take(SEQUENCE))
    recipients = []
    for child in fields.take(SEQUENCE).children():
        one = Fields(child)
        recipients.append((one.take(SEQUENCE, CONTEXT_CONSTRUCTED), one.take(OCTET_STRING).value))
    fields.done()
    user_material = None
    if material is not None:
        user_material = Fields(material, CONTEXT_CONSTRUCTED | 1).take(OCTET_STRING).value
    return KeyAgreement(originator, user_material, algorithm, tuple(recipients))


def _ephemeral_key(originator: Element, curve: ec.EllipticCurve) -> ec.EllipticCurvePublicKey:
    """The OriginatorPublicKey as a point of the recipient's curve, whatever its parameters say.

    Raises:
        ValueError: static keys ([0], issuerAndSerial), another algorithm, or not a point of this curve.
    """
    fields = Fields(originator, CONTEXT_CONSTRUCTED | 1)
    algorithm = read_algorithm(fields.take(SEQUENCE))
    point = fields.take(BIT_STRING).value
    if algorithm.identifier != EC_PUBLIC_KEY or point[:1] != b"\0":
        raise DerError("not an elliptic curve key")
    return ec.EllipticCurvePublicKey.from_encoded_point(curve, point[1:])


def _padding(algorithm: AlgorithmIdentifier) -> padding.AsymmetricPadding | None:
    """Padding of a key transport; None if unknown. Raises DerError."""
    if algorithm.identifier == RSA_ENCRYPTION:
        return padding.PKCS1v15()
    if algorithm.identifier != RSAES_OAEP:
        return None
    digest = mask = SHA1
    if algorithm.parameters is not None:
        fields = Fields(algorithm.parameters)
        chosen = fields.maybe(CONTEXT_CONSTRUCTED)
        function = fields.maybe(CONTEXT_CONSTRUCTED | 1)
        label = fields.maybe(CONTEXT_CONSTRUCTED | 2)
        fields.done()
        digest = digest if chosen is None else _oaep_hash(Fields(chosen, CONTEXT_CONSTRUCTED).take(SEQUENCE))
        mask = mask if function is None else _mask_hash(Fields(function, CONTEXT_CONSTRUCTED | 1).take(SEQUENCE))
        if label is not None and not _is_empty_label(Fields(label, CONTEXT_CONSTRUCTED | 2).take(SEQUENCE)):
            return None
    return padding.OAEP(padding.MGF1(mask), digest, None)


def _oaep_hash(element: Element) -> hashes.HashAlgorithm:
    found = OAEP_HASHES.get(read_algorithm(element).identifier)
    if found is None:
        raise DerError("hash is not permitted")
    return found


def _mask_hash(element: Element) -> hashes.HashAlgorithm:
    function = read_algorithm(element)
    if function.identifier != MGF1 or function.parameters is None:
        raise DerError("mask function is not permitted")
    return _oaep_hash(function.parameters)


def _is_empty_label(element: Element) -> bool:
    label = read_algorithm(element)
    return label.identifier == P_SPECIFIED and label.parameters is not None and label.parameters.value == b""
