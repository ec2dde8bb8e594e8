"""The citizens of the sandbox: they write, have mailboxes, and stand in the directory with their certificates."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import Any

import pybase64

from demail_gateway.core.address import Address, is_system_local_part, parse_address
from demail_gateway.core.completion import ProviderFacts
from demail_gateway.core.eicar import Search, search_message
from demail_gateway.core.errors import AddressInvalid, CmsInvalid, DecryptionFailed, MalformedMessage
from demail_gateway.core.header import Octets, read_message
from demail_gateway.core.mime import Part, leaves, read_parts
from demail_gateway.core.primitives import DigestSigner
from demail_gateway.core.vocabulary import AuthLevel
from demail_gateway.sandbox import tables
from demail_gateway.sandbox.admission import DraftRefused, read_draft
from demail_gateway.sandbox.clock import Clock, system_time
from demail_gateway.sandbox.configuration import DOMAIN
from demail_gateway.sandbox.effects import Folder, NewMessage
from demail_gateway.sandbox.enquiries import DirectoryEntry
from demail_gateway.sandbox.identity import Identity
from demail_gateway.sandbox.letters import Letter, LetterRefused, Tamper, compose, holder_of, tampered
from demail_gateway.sandbox.provider import Desk
from demail_gateway.sandbox.scripts import scripted
from demail_gateway.sandbox.sealing import seal_copies
from demail_gateway.sandbox.store import Store
from demail_gateway.trust.cms.decryption import decrypt
from demail_gateway.trust.keys import KeyKind, generate_key, load_pkcs8, to_pkcs8
from demail_gateway.trust.smime_layers import open_layers

AUTH_MECHANISM = "Sandbox-Anmeldung"

_ENCRYPTED = ("application/pkcs7-mime", "application/x-pkcs7-mime")


class Citizens:
    def __init__(self, store: Store, clock: Clock, identity: Identity, desk: Desk, *, host_name: str) -> None:
        self._store = store
        self._clock = clock
        self._identity = identity
        self._desk = desk
        self._host_name = host_name

    async def write(self, letter: Letter) -> tuple[str, bytes]:
        """Sends a citizen's De-Mail, made with a login at *high*. Id and octets of the (first) message as it went out.

        Raises:
            LetterRefused: the citizen's provider does not take it, e.g. ``malware-found`` (step 28).
        """
        messages = await asyncio.to_thread(self._made, letter)
        await self._desk.send(messages)
        return messages[0].demail_message_id, messages[0].sealed

    async def mailbox(self, address: str, folder: Folder) -> list[dict[str, Any]]:
        """Everything in a mailbox, as the control surface shows it."""
        rows = await self._store.run(partial(tables.mailbox, address=address, folder=folder))
        keys = await self._store.run(partial(tables.citizen, address=address))
        return await asyncio.to_thread(lambda: [_item(*row, keys) for row in rows])

    async def directory_entry(self, address: str) -> DirectoryEntry | None:
        """The citizen's entry; the certificate is issued when it is first asked for."""
        citizen = _listed(address)
        if citizen is None:
            return None
        _, certificate = await self._keys(citizen)
        level = AuthLevel.HIGH if scripted(citizen.local).behaviour.reaches_high else AuthLevel.NORMAL
        return DirectoryEntry(
            address=str(citizen),
            display_name=holder_of(citizen),
            demail_max_auth_level="HIGH" if level is AuthLevel.HIGH else "NORMAL",
            demail_access_opening=True,
            certificates=[pybase64.b64encode(certificate).decode("ascii")],
        )

    async def _keys(self, citizen: Address) -> tuple[bytes, bytes]:
        """PKCS #8 and certificate (DER)."""
        found = await self._store.run(partial(tables.citizen, address=str(citizen)))
        if found is not None:
            return found
        key = await asyncio.to_thread(generate_key, KeyKind.RSA_3072)
        # the authority is used from the event loop alone
        certificate = self._identity.issue_smime(key, str(citizen), holder_of(citizen), system_time())
        pkcs8 = to_pkcs8(key)
        return await self._store.run(
            partial(tables.add_citizen, address=str(citizen), key=pkcs8, certificate=certificate)
        )

    def _made(self, letter: Letter) -> list[NewMessage]:
        """Steps 1 to 31 on the citizen's side."""
        now = self._clock.now()
        composed = compose(letter, now)
        try:
            draft = read_draft(composed.draft, str(composed.sender), [str(a) for a in composed.recipients])
        except DraftRefused as refused:
            raise LetterRefused("invalid-message") from refused
        if letter.scan and search_message(draft.octets) is Search.FOUND:
            raise LetterRefused("malware-found")
        facts = ProviderFacts(AuthLevel.HIGH, AUTH_MECHANISM, holder_of(composed.sender), self._host_name, now)
        signer = self._signer(letter.tamper, is_authoritative=draft.metadata.authoritative)
        return seal_copies(draft, facts, signer, partial(tampered, how=letter.tamper))

    def _signer(self, tamper: Tamper | None, *, is_authoritative: bool) -> DigestSigner | None:
        match tamper:
            case Tamper.UNSIGNED:
                return None
            case Tamper.SIGNATURE:
                return self._identity.impostor()
            case Tamper.EXPIRED_CERTIFICATE:
                return self._identity.expired_signer
            case _:
                return self._identity.signer if is_authoritative else None


def _listed(address: str) -> Address | None:
    """The address if it has an entry in the directory: a citizen whose account exists."""
    try:
        citizen = parse_address(address)
    except AddressInvalid:
        return None
    if citizen.domain != DOMAIN or is_system_local_part(citizen.local):
        return None
    # A full lock deletes the entry (TR 01201-2.1 §3.6.1).
    return None if scripted(citizen.local).behaviour.undeliverable is not None else citizen


def _item(
    message_id: str, message_type: str, received_at: str, sealed: bytes, keys: tuple[bytes, bytes] | None
) -> dict[str, Any]:
    # The sandbox is both providers of a message to its citizens, so nothing is encrypted between domains.
    octets = pybase64.b64encode(sealed).decode("ascii")
    return {
        "demail_message_id": message_id,
        "message_type": message_type,
        "received_at": received_at,
        "raw": octets,
        "wire": octets,
        "parts": [_shown(part) for part in _leaves(read_message(sealed), keys)],
    }


def _leaves(message: Octets, keys: tuple[bytes, bytes] | None) -> Iterable[Part]:
    """All decoded parts, also inside a signed or an encrypted entity that the citizen can read."""
    for part in leaves(read_parts(message.header, message.body)):
        inner = _decrypted(part, keys)
        if inner is None:
            yield part
        else:
            yield from leaves(read_parts(inner.header, inner.body))


def _decrypted(part: Part, keys: tuple[bytes, bytes] | None) -> Octets | None:
    """The entity inside all layers, read with the citizen's key; None if the part stays closed for this citizen."""
    if keys is None or part.content_type not in _ENCRYPTED:
        return None
    try:
        entity = read_message(decrypt(part.decode(), load_pkcs8(keys[0]), keys[1]))
    except (CmsInvalid, DecryptionFailed, MalformedMessage):
        return None
    return open_layers(entity, [(load_pkcs8(keys[0]), keys[1])]).inside


def _shown(part: Part) -> dict[str, Any]:
    content = pybase64.b64encode(part.decode()).decode("ascii")
    return {"filename": part.filename, "content_type": part.content_type, "content": content}
