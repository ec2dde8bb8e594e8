"""X.509 certificates: reading facts, PEM and DER, requests (RFC 5280, RFC 2986)."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, PublicKeyAlgorithmOID

from demail_gateway.core.errors import CertificateMalformed
from demail_gateway.core.primitives import CertificateFacts

MAX_CERTIFICATE_BYTES = 64 * 1024
"""Larger ones are refused unread; real ones stay below 8 KiB."""

UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises, some of it late, on certificates, lists and OCSP answers that are none."""

_PEM_BEGIN = b"-----BEGIN CERTIFICATE-----"
_PEM_END = b"-----END CERTIFICATE-----"


@lru_cache(maxsize=1024)
def parse_certificate(der: bytes) -> x509.Certificate:
    """The certificate as the library's object.

    Raises:
        CertificateMalformed: not exactly one DER certificate, or larger than MAX_CERTIFICATE_BYTES.
    """
    if len(der) > MAX_CERTIFICATE_BYTES:
        raise CertificateMalformed("too large")
    try:
        certificate = x509.load_der_x509_certificate(der)
        # The library reads extensions and key late; what cannot be read must fail here, not in the middle of a check.
        _ = certificate.extensions, certificate.subject, certificate.issuer, certificate.not_valid_after_utc
    except UNREADABLE as error:
        raise CertificateMalformed("not a DER certificate") from error
    return certificate


@lru_cache(maxsize=1024)
def read_certificate(der: bytes) -> CertificateFacts:
    """Facts of one DER certificate.

    A key of a kind that the library does not know is no error here: its `key_type` and `curve` then fit no rule
    (IN-12, IN-14), so that the caller reports ``key-not-permitted`` and not a malformed certificate.

    Raises:
        CertificateMalformed
    """
    certificate = parse_certificate(der)
    key_type, key_bits, curve = _key_facts(certificate)
    return CertificateFacts(
        der=der,
        key_type=key_type,
        key_bits=key_bits,
        curve=curve,
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        serial_number=certificate.serial_number,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        fingerprint_sha256=fingerprint(der),
        purposes=_purposes(certificate),
        usages=_usages(certificate),
    )


def public_key_of(der: bytes) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey | None:
    """RSA or EC key of the certificate; None for every other kind. Raises CertificateMalformed."""
    try:
        key = parse_certificate(der).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey) else None


def fingerprint(der: bytes) -> str:
    """SHA-256 over the DER, lower-case hex."""
    return hashlib.sha256(der).hexdigest()


def der_to_pem(der: bytes) -> bytes:
    """PEM form of one certificate. Raises CertificateMalformed."""
    return parse_certificate(der).public_bytes(Encoding.PEM)


def pem_to_der(pem: bytes) -> bytes:
    """DER of the one certificate in `pem`; text around it is ignored. Raises CertificateMalformed."""
    found = read_pem_bundle(pem)
    if len(found) != 1:
        raise CertificateMalformed("expected exactly one certificate")
    return found[0]


def read_pem_bundle(pem: bytes) -> tuple[bytes, ...]:
    """DER of every certificate in a PEM bundle, in its order; a single DER certificate is taken too.

    Raises:
        CertificateMalformed: one block cannot be read, or there is none.
    """
    if _PEM_BEGIN not in pem:
        parse_certificate(pem)
        return (pem,)
    blocks = [block.partition(_PEM_END)[0] for block in pem.split(_PEM_BEGIN)[1:]]
    return tuple(_pem_block(block) for block in blocks)


def make_csr(
    private_key: CertificateIssuerPrivateKeyTypes,
    subject_cn: str,
    *,
    dns: Sequence[str] = (),
    ips: Sequence[str] = (),
    email: str | None = None,
) -> bytes:
    """PEM certificate request (PKCS #10) for the key, with subject alternative names.

    Raises:
        ValueError: `subject_cn` is empty or longer than 64 characters (RFC 5280 appendix A), or an IP is none.
    """
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject_cn)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    names = general_names(dns=dns, ips=ips, email=email)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(private_key, natural_hash(private_key.public_key())).public_bytes(Encoding.PEM)


def general_names(
    *, dns: Sequence[str] = (), ips: Sequence[str] = (), email: str | None = None
) -> list[x509.GeneralName]:
    """Subject alternative names as the library's objects."""
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in dns]
    names += [x509.IPAddress(ipaddress.ip_address(ip)) for ip in ips]
    if email is not None:
        names.append(x509.RFC822Name(email))
    return names


def natural_hash(public_key: object) -> SHA256 | SHA384 | SHA512:
    """Hash that fits the key's strength: SHA-384 and SHA-512 for the longer curves, else SHA-256."""
    bits = public_key.key_size if isinstance(public_key, ec.EllipticCurvePublicKey) else 256
    if bits <= 256:
        return SHA256()
    return SHA384() if bits <= 384 else SHA512()


def _purposes(certificate: x509.Certificate) -> frozenset[str]:
    found = [e.value for e in certificate.extensions if isinstance(e.value, x509.ExtendedKeyUsage)]
    return frozenset(purpose.dotted_string for usage in found for purpose in usage)


_USAGES = {
    "digital_signature": "digitalSignature",
    "content_commitment": "contentCommitment",
    "key_encipherment": "keyEncipherment",
    "data_encipherment": "dataEncipherment",
    "key_agreement": "keyAgreement",
    "key_cert_sign": "keyCertSign",
    "crl_sign": "cRLSign",
}


def _usages(certificate: x509.Certificate) -> frozenset[str] | None:
    found = [e.value for e in certificate.extensions if isinstance(e.value, x509.KeyUsage)]
    return frozenset(name for each, name in _USAGES.items() if getattr(found[0], each)) if found else None


def _key_facts(certificate: x509.Certificate) -> tuple[str, int, str | None]:
    try:
        key = certificate.public_key()
    except UnsupportedAlgorithm:
        is_ec = certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.EC_PUBLIC_KEY
        return ("ec", 0, "unsupported") if is_ec else ("unsupported", 0, None)
    except ValueError as error:
        raise CertificateMalformed("public key cannot be read") from error
    if isinstance(key, rsa.RSAPublicKey):
        return "rsa", key.key_size, None
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "ec", key.key_size, key.curve.name
    return type(key).__name__.removesuffix("PublicKey").lower(), 0, None


def _pem_block(base64_text: bytes) -> bytes:
    try:
        certificate = x509.load_pem_x509_certificate(_PEM_BEGIN + base64_text + _PEM_END + b"\n")
    except (ValueError, x509.InvalidVersion) as error:
        raise CertificateMalformed("not a PEM certificate") from error
    der = certificate.public_bytes(Encoding.DER)
    parse_certificate(der)
    return der
