"""What commands use without a running gateway: checking files, making identities."""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from typing import BinaryIO, cast

from demail_gateway.application.inspect import Tools
from demail_gateway.application.inspect_content import ContentSigners, Pieces, Stamp
from demail_gateway.core.errors import CmsInvalid
from demail_gateway.core.primitives import Judge
from demail_gateway.core.purposes import Purpose, usage_findings
from demail_gateway.trust.certificates import fingerprint, make_csr, pem_to_der, read_certificate, read_pem_bundle
from demail_gateway.trust.cms import (
    CmsSigner,
    read_certs_only,
    verify_detached,
    verify_enveloping,
    verify_enveloping_file,
)
from demail_gateway.trust.cms.timestamps import read_token
from demail_gateway.trust.crls import read_crls
from demail_gateway.trust.keys import generate_key, to_pkcs8
from demail_gateway.trust.paths import PathJudge
from demail_gateway.trust.policy import SMIME
from demail_gateway.trust.verifier import CryptographyVerifier
from demail_gateway.trust.xmldsig import LxmlSignatures

_IN_MEMORY_OCTETS = 1024 * 1024
_MAX_SIGNATURE_OCTETS = 1024 * 1024
"""A detached signature with its chain and timestamp has some ten thousand."""


def inspection_tools(anchor_files: Sequence[bytes], crl_files: Sequence[bytes]) -> Tools:
    """For `verify`: trust comes from these files alone. Anchors in PEM, revocation lists in PEM or DER.

    Raises:
        CertificateMalformed: a file cannot be read.
    """
    anchors = tuple(chain.from_iterable(map(read_pem_bundle, anchor_files)))
    crls = tuple(chain.from_iterable(map(read_crls, crl_files)))

    def judge_with(certificates: Sequence[bytes], more_crls: Sequence[bytes]) -> Judge:
        return PathJudge(anchors, (), (*crls, *more_crls)).with_intermediates(certificates)

    return Tools(
        verifier=CryptographyVerifier(),
        xml_signatures=LxmlSignatures(),
        judge=PathJudge(anchors, (), crls),
        judge_with=judge_with,
        cms_signers=cms_signers,
        trusted=None,
        room=temporary_room,
    )


def temporary_room() -> BinaryIO:
    """A file of our own that is gone when closed; small ones stay in memory."""
    return cast(BinaryIO, tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_OCTETS))


def new_identity(common_name: str, dns: Sequence[str], ips: Sequence[str]) -> tuple[bytes, str]:
    """A fresh P-256 key (PEM) and its certificate request (PEM), for test installations."""
    key = generate_key("p256")
    text = base64.encodebytes(to_pkcs8(key)).decode("ascii")
    pem = f"-----BEGIN PRIVATE KEY-----\n{text}-----END PRIVATE KEY-----\n"
    return pem.encode("ascii"), make_csr(key, common_name, dns=dns, ips=ips).decode("ascii")


def fingerprint_of(certificate_pem: bytes) -> str:
    """SHA-256 of the first certificate of a PEM file, lower-case hex."""
    return fingerprint(pem_to_der(certificate_pem))


def cms_signers(signature: Pieces, content: Pieces | None, at: datetime) -> ContentSigners:
    """As `inspect_content.CmsSigners`. Raises CmsInvalid.

    A structure in pieces that holds its content is put into a temporary file; what holds none is small.
    """
    if content is not None:
        found = verify_detached(_at_once(signature), content)
    elif isinstance(signature, bytes):
        try:
            found = verify_enveloping(signature)[0]
        except CmsInvalid:
            return ContentSigners((), read_certs_only(signature))
    else:
        with temporary_room() as room, open(os.devnull, "wb") as nowhere:
            for piece in signature:  # a spooled file looks at its size after each write alone
                room.write(piece)
            room.seek(0)
            found = verify_enveloping_file(room, nowhere)
    mechanisms = tuple(chain.from_iterable(signer.mechanisms for signer in found.signers))
    return ContentSigners(
        signers=tuple(signer.certificate_der for signer in found.signers),
        certificates=found.certificates,
        usage=_usage(found.signers),
        findings=tuple(dict.fromkeys(finding.code for finding in SMIME.findings(mechanisms, at))),
        stamps=tuple(_stamp(token, signer.signature) for signer in found.signers for token in signer.timestamps),
    )


def _usage(signers: Sequence[CmsSigner]) -> tuple[str, ...]:
    facts = [read_certificate(signer.certificate_der) for signer in signers]
    return tuple(dict.fromkeys(chain.from_iterable(usage_findings(each, Purpose.SMIME_SIGNATURE) for each in facts)))


def _stamp(token: bytes, signature: bytes) -> Stamp | None:
    try:
        read = read_token(token, signature)
    except CmsInvalid:
        return None
    return Stamp(read.time, read.certificate_der, read.certificates)


def _at_once(signature: Pieces) -> bytes:
    if isinstance(signature, bytes):
        return signature
    found = bytearray()
    for piece in signature:
        found += piece
        if len(found) > _MAX_SIGNATURE_OCTETS:
            raise CmsInvalid("too large")
    return bytes(found)
