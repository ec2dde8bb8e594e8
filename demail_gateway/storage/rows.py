"""Values on their way into rows and out of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from demail_gateway.core.delivery import Effect, EvidenceFact
from demail_gateway.core.options import OPTION_NAMES, SendOptions
from demail_gateway.core.vocabulary import UndeliverableReason
from demail_gateway.storage.envelope import DataKey, Place

Document = Mapping[str, Any]

_UNSTORABLE = {0: "\ufffd", **dict.fromkeys(range(0xD800, 0xE000), "\ufffd")}


def storable(text: str) -> str:
    """`text` as PostgreSQL can hold it: NUL and lone surrogates, which strangers may send, become U+FFFD."""
    return text.translate(_UNSTORABLE) if "\0" in text or not _is_unicode(text) else text


def storable_or_none(text: str | None) -> str | None:
    return None if text is None else storable(text)


def to_jsonb(value: Any) -> str:
    """JSON for a jsonb column; strings in it are made storable. Read, a jsonb column is a Python value."""
    return json.dumps(_cleaned(value), ensure_ascii=False, separators=(",", ":"))


def columns(width: int, rows: Iterable[Iterable[Any]]) -> list[list[Any]]:
    """Rows of `width` values as arrays by column, for `unnest`."""
    arrays: list[list[Any]] = [[] for _ in range(width)]
    for row in rows:
        for array, value in zip(arrays, row, strict=True):
            array.append(value)
    return arrays


def seal_document(key: DataKey, place: Place, document: Document) -> bytes:
    """A JSON object, sealed for its column. Any string survives the way there and back."""
    clear = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return key.seal(place, clear)


def open_document(key: DataKey, place: Place, sealed: bytes) -> dict[str, Any]:
    """Inverse of `seal_document`. Raises KeyUnavailable."""
    opened: dict[str, Any] = json.loads(key.open(place, sealed).decode("utf-8", "surrogatepass"))
    return opened


def options_to_jsonb(options: SendOptions) -> str:
    return _OPTIONS[options]


def options_of(stored: Document) -> SendOptions:
    """The five options of a row; an option that is not named is off."""
    return SendOptions(**{name: bool(stored.get(name, False)) for name in OPTION_NAMES})


def fact_to_jsonb(fact: EvidenceFact | None) -> str | None:
    if fact is None:
        return None
    return json.dumps({name: _plain(value) for name, value in asdict(fact).items()})


def fact_of(stored: Document) -> EvidenceFact:
    """What a row of `evidence` means for the state."""
    return EvidenceFact(
        effect=Effect(stored["effect"]),
        copy_id=UUID(stored["copy_id"]),
        recipient_id=UUID(stored["recipient_id"]) if stored["recipient_id"] else None,
        at=datetime.fromisoformat(stored["at"]),
        received_at=datetime.fromisoformat(stored["received_at"]),
        delivered_at=datetime.fromisoformat(stored["delivered_at"]) if stored["delivered_at"] else None,
        reason=UndeliverableReason(stored["reason"]) if stored["reason"] else None,
    )


def head_of_message(message_id: UUID) -> Place:
    """Place of `message.sealed_head`: subject, reply-to, formal service; inbound also the to and cc lists."""
    return Place("message", "sealed_head", str(message_id))


def body_of_message(message_id: UUID) -> Place:
    """Place of `message.sealed_body`: text, html, the certificates to encrypt for."""
    return Place("message", "sealed_body", str(message_id))


def name_of_attachment(message_id: UUID, position: int) -> Place:
    """Place of `message_attachment.sealed_name`, under the message's key: filename and content type."""
    return Place("message_attachment", "sealed_name", f"{message_id}/{position}")


def name_of_upload(upload_id: UUID) -> Place:
    """Place of `upload.sealed_name`, under the content's key."""
    return Place("upload", "sealed_name", str(upload_id))


class _OptionTexts(dict[SendOptions, str]):
    """JSON of the few combinations of options, made once each."""

    def __missing__(self, options: SendOptions) -> str:
        self[options] = text = json.dumps({name: getattr(options, name) for name in OPTION_NAMES})
        return text


_OPTIONS = _OptionTexts()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        return {storable(str(name)): _cleaned(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(each) for each in value]
    return value


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
