"""How certificates, revoked entries and requests of the test authority look (RFC 5280, RFC 2986)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from demail_gateway.core.errors import CertificateMalformed
from demail_gateway.trust.certificates import UNREADABLE
from demail_gateway.trust.keys import PublicKey
from demail_gateway.trust.revoked import Revocation


@dataclass(frozen=True, slots=True)
class Usage:
    """Key usage and extended key usage of a kind of certificate."""

    content_commitment: bool = False
    encipherment: bool = False
    extended: tuple[x509.ObjectIdentifier, ...] = ()
    exclusive: bool = False
    """Whether the extended key usage is critical."""


def german_name(common_name: str) -> x509.Name:
    """Subject of a German holder."""
    return x509.Name(
        [x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"), x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    )


def certificate_builder(
    subject: x509.Name, issuer: x509.Name, key: PublicKey, not_before: datetime, not_after: datetime
) -> x509.CertificateBuilder:
    """With a number, a validity and the key's identifier."""
    builder = x509.CertificateBuilder(issuer_name=issuer, subject_name=subject, public_key=key)
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(not_before).not_valid_after(not_after)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def authority_builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: PublicKey,
    not_before: datetime,
    not_after: datetime,
    *,
    path_length: int,
) -> x509.CertificateBuilder:
    """The same for an authority."""
    builder = certificate_builder(subject, issuer, key, not_before, not_after)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
    return builder.add_extension(_key_usage(key_cert_sign=True), critical=True)


def with_usage(builder: x509.CertificateBuilder, usage: Usage, *, is_rsa: bool) -> x509.CertificateBuilder:
    """The builder with the usages that a kind of certificate has."""
    key_usage = _key_usage(
        digital_signature=True,
        content_commitment=usage.content_commitment,
        key_encipherment=usage.encipherment and is_rsa,
        key_agreement=usage.encipherment and not is_rsa,
    )
    builder = builder.add_extension(key_usage, critical=True)
    if not usage.extended:
        return builder
    return builder.add_extension(x509.ExtendedKeyUsage(usage.extended), critical=usage.exclusive)


def revoked_entry(serial_number: int, revocation: Revocation) -> x509.RevokedCertificate:
    """One line of a revocation list."""
    entry = x509.RevokedCertificateBuilder().serial_number(serial_number).revocation_date(revocation.at)
    if revocation.reason is not None:
        entry = entry.add_extension(x509.CRLReason(x509.ReasonFlags(revocation.reason)), critical=False)
    return entry.build()


def read_request(request: bytes | PublicKey) -> tuple[PublicKey, x509.Name | None, list[x509.GeneralName]]:
    """Key, subject and alternative names of a PEM request, or of a key alone. Raises CertificateMalformed."""
    if not isinstance(request, bytes):
        return request, None, []
    try:
        csr = x509.load_pem_x509_csr(request)
        key, holds = csr.public_key(), csr.is_signature_valid
        names = [
            name
            for extension in csr.extensions
            if isinstance(extension.value, x509.SubjectAlternativeName)
            for name in extension.value
        ]
    except UNREADABLE as error:
        raise CertificateMalformed("request cannot be read") from error
    if not holds or not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise CertificateMalformed("request is not signed by its key")
    return key, csr.subject, names


def _key_usage(
    *,
    digital_signature: bool = False,
    content_commitment: bool = False,
    key_encipherment: bool = False,
    key_agreement: bool = False,
    key_cert_sign: bool = False,
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=content_commitment,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=key_agreement,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        encipher_only=False,
        decipher_only=False,
    )
