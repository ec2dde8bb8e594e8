"""One good file of every kind that `verify` knows, as a place for mutations to begin at."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from datetime import timedelta
from functools import cache

from demail_gateway.core.entity import build_entity, enveloped, multipart_signed
from demail_gateway.core.header import read_message
from demail_gateway.core.integrity import seal
from demail_gateway.core.journal import START, journal_hash
from demail_gateway.core.mbox import write_mbox_message
from demail_gateway.core.package import MANIFEST, SIGNATURE, Manifest, Role, entry_of, write_manifest
from demail_gateway.core.primitives import HashName
from demail_gateway.core.vocabulary import ConfirmationKind, NotificationType
from demail_gateway.trust.authority import Profile, TestAuthority
from demail_gateway.trust.cms import sign_detached, sign_enveloping
from demail_gateway.trust.keys import SoftwareSigner, generate_key
from tests.core import idents
from tests.core.proofs import AT, ORIGINAL_OCTETS, RECEIVED_AT, SENDER, notice, sealed, unsealed
from tests.core.vector_trust import VECTORS

MADE_AT = RECEIVED_AT + timedelta(hours=1)
_DAY = timedelta(days=1)
AUTHORITY = TestAuthority.create("TEST", AT - _DAY, key_kind="p256")
_KEY = generate_key("p256")
CRL = AUTHORITY.crl(AT - timedelta(hours=1), _DAY)


def _signer(profile: Profile, name: str) -> SoftwareSigner:
    der = AUTHORITY.issue(_KEY.public_key(), profile, name, not_before=AT - _DAY, not_after=AT + _DAY)
    return SoftwareSigner.for_certificate(_KEY, der)


GATEWAY = _signer(Profile.INSTALLATION, "Gateway")
PROVIDER = _signer(Profile.PROVIDER_SIGNATURE, "Anbieter")
WRITER = _signer(Profile.SMIME, "Erika")


@cache
def good_files() -> Mapping[str, bytes]:
    """By kind; each passes with AUTHORITY as anchor and CRL, or is undecided."""
    return {
        "message": _vector("hash-sha256"),
        "signed": sealed(_unsealed_original(), PROVIDER),  # type: ignore[arg-type]
        "forwarded": _vector("weiterleitung"),
        "detached": _sealed(multipart_signed(_ENTITY, _SIGNATURE, "sha-256", "b1")),
        "enveloping": _sealed(
            enveloped(sign_enveloping(_ENTITY, WRITER, at=AT, hash_name=HashName.SHA256), "signed-data")
        ),
        "confirmation": sealed(unsealed(ConfirmationKind.RECEIPT, signer=PROVIDER), PROVIDER),  # type: ignore[arg-type]
        "malware": sealed(unsealed(ConfirmationKind.MALWARE, signer=PROVIDER), PROVIDER),  # type: ignore[arg-type]
        "notification": sealed(notice(NotificationType.OTHER, "Grund."), None),
        "ident": sealed(idents.unsealed(idents.signed(idents.assertion())), PROVIDER),  # type: ignore[arg-type]
        "package": package(members()),
        "journal": _journal(),
        "mailbox": b"".join(
            b"".join(write_mbox_message([_vector(name)], SENDER, AT)) for name in ("hash-sha256", "rsa-sha256")
        ),
    }


def members() -> dict[str, tuple[Role, bytes]]:
    """Of an evidence package, each role once."""
    nothing = {"options": {"confirmation_of_receipt": True}}
    return {
        "messages/1.eml": (Role.MESSAGE_SUBMITTED, ORIGINAL_OCTETS),
        "evidence/1.eml": (
            Role.CONFIRMATION,
            sealed(unsealed(ConfirmationKind.RECEIPT, signer=PROVIDER), PROVIDER),  # type: ignore[arg-type]
        ),
        "evidence/2.eml": (Role.NOTIFICATION, sealed(notice(NotificationType.UNKNOWN_RECIPIENT, "Grund."), None)),
        "reports/1.json": (Role.REPORT, json.dumps({"received_at": RECEIVED_AT.isoformat()}).encode()),
        "certificates/1.der": (Role.CERTIFICATE, AUTHORITY.certificate_der),
        "crls/1.crl": (Role.CRL, CRL),
        "journal.json": (Role.JOURNAL, b"[" + b",".join(_journal().splitlines()) + b"]"),
        "message.json": (Role.MESSAGE_RECORD, json.dumps(nothing).encode()),
    }


def package(files: Mapping[str, tuple[Role, bytes]]) -> bytes:
    """An evidence package of these members, signed by the installation."""
    manifest = write_manifest(
        Manifest("msg_1", MADE_AT, tuple(entry_of(path, role, octets) for path, (role, octets) in files.items()))
    )
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MANIFEST, manifest)
        archive.writestr(SIGNATURE, sign_detached(manifest, GATEWAY, at=MADE_AT))
        for path, (_, octets) in files.items():
            archive.writestr(path, octets)
    return target.getvalue()


_ENTITY = build_entity("Guten Tag", None, (), "b0")
_SIGNATURE = sign_detached(_ENTITY, WRITER, at=AT, hash_name=HashName.SHA256)


def _vector(name: str) -> bytes:
    return (VECTORS / "messages" / f"{name}.eml").read_bytes()


def _without(octets: bytes, *names: str) -> bytes:
    return b"".join(field.raw for field in read_message(octets).header.fields if not field.lower.startswith(names))


def _unsealed_original() -> bytes:
    head = _without(ORIGINAL_OCTETS, "x-de-mail-integrity", "x-de-mail-signature")
    return head + b"\r\n" + bytes(read_message(ORIGINAL_OCTETS).body)


def _sealed(content: bytes) -> bytes:
    head = _without(_vector("hash-sha256"), "x-de-mail-integrity", "content-")
    return seal(head + content, hash_name=HashName.SHA256, domain="dmda-a.example", signer=None)


def _journal() -> bytes:
    lines, prev = [], START
    for seq in (1, 2, 3):
        item = {"seq": seq, "at": f"2026-11-24T05:30:0{seq}.000000Z", "tenant": "ten_01", "actor": "gateway"}
        digest = journal_hash(prev, item)
        lines.append(json.dumps({**item, "prev_hash": prev.hex(), "hash": digest.hex()}))
        prev = digest
    return "\n".join(lines).encode()
