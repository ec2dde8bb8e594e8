"""Certificates as no good authority makes them, for the tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Holder:
    """A name and a key; certificates are made between two of them."""

    name: x509.Name
    key: ec.EllipticCurvePrivateKey


def holder(common_name: str) -> Holder:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
    return Holder(name, ec.generate_private_key(ec.SECP256R1()))


@dataclass(frozen=True)
class Odd:
    """How a certificate differs from a good one."""

    ca: bool | None = False
    """None: without basicConstraints."""
    path_length: int | None = None
    cert_sign: bool = True
    """Of an authority: keyCertSign in its key usage."""
    names: Sequence[x509.GeneralName] = ()
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = ()
    start: timedelta = -10 * DAY
    end: timedelta = 10 * DAY


AUTHORITY, PLAIN = Odd(ca=True), Odd()


def certify(subject: Holder, issuer: Holder, at: datetime, odd: Odd = PLAIN, *, serial: int | None = None) -> bytes:
    """DER certificate of `subject`, signed by `issuer`."""
    number = x509.random_serial_number() if serial is None else serial
    builder = x509.CertificateBuilder(
        issuer.name, subject.name, subject.key.public_key(), number, at + odd.start, at + odd.end
    )
    if odd.ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(odd.ca, odd.path_length), critical=True)
        usage = _usage(cert_sign=odd.ca and odd.cert_sign, sign=not odd.ca or not odd.cert_sign)
        builder = builder.add_extension(usage, critical=True)
    if odd.names:
        builder = builder.add_extension(x509.SubjectAlternativeName(odd.names), critical=False)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(subject.key.public_key()), critical=False)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
    builder = builder.add_extension(authority, critical=False)
    for extension, critical in odd.extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def _usage(*, cert_sign: bool, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=cert_sign,
        crl_sign=cert_sign,
        encipher_only=False,
        decipher_only=False,
    )
