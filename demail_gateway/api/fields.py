"""Kinds of values in requests, each strict about its form."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Protocol, TypeVar
from uuid import UUID

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from demail_gateway.core.draft_content import has_controls
from demail_gateway.core.errors import NotFound
from demail_gateway.tenancy.identifiers import Prefix, parse_id
from demail_gateway.tenancy.naming import NAME_CHARS, REASON_CHARS, SLUG_PATTERN, is_slug

_UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def id_in_path(prefix: Prefix, text: str) -> UUID:
    """The uuid of a public id in the path. Raises NotFound: what is no id names nothing."""
    uuid = parse_id(prefix, text)
    if uuid is None:
        raise NotFound
    return uuid


class _Identified(Protocol):
    @property
    def id(self) -> UUID: ...


R = TypeVar("R", bound=_Identified)


def only(records: Iterable[R], uuid: UUID) -> R:
    """The record with this id. Raises NotFound."""
    for record in records:
        if record.id == uuid:
            return record
    raise NotFound


def _id_reader(prefix: Prefix) -> Callable[[Any], UUID]:
    def read(value: Any) -> UUID:
        uuid = parse_id(prefix, value) if isinstance(value, str) else None
        if uuid is None:
            raise PydanticCustomError("not_an_id", "not an id of this kind")
        return uuid

    return read


def _id_schema(prefix: Prefix) -> WithJsonSchema:
    example = f"{prefix}_01990000-0000-7000-8000-000000000000"
    return WithJsonSchema({"type": "string", "pattern": f"^{prefix}_{_UUID}$", "examples": [example]})


AttachmentId = Annotated[UUID, PlainValidator(_id_reader(Prefix.ATTACHMENT)), _id_schema(Prefix.ATTACHMENT)]
AccountId = Annotated[UUID, PlainValidator(_id_reader(Prefix.ACCOUNT)), _id_schema(Prefix.ACCOUNT)]
ConnectionId = Annotated[UUID, PlainValidator(_id_reader(Prefix.CONNECTION)), _id_schema(Prefix.CONNECTION)]


def _moment(value: Any) -> datetime:
    """RFC 3339 with its offset, in UTC. Counts of seconds, plain dates and local times are refused."""
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise PydanticCustomError("datetime_parsing", "not an RFC 3339 date-time")
    # nine digits are allowed on the wire, six are kept
    text = re.sub(r"(\.\d{6})\d+", r"\1", value.upper())
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise PydanticCustomError("datetime_parsing", "not an RFC 3339 date-time") from None
    except OverflowError:
        raise PydanticCustomError("moment_out_of_range", "not representable") from None


Moment = Annotated[
    datetime,
    PlainValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-24T08:00:00Z"]}),
]


def _line(value: str) -> str:
    if has_controls(value):
        raise PydanticCustomError("control_characters", "control characters are not allowed")
    return value


Line = Annotated[str, AfterValidator(_line)]
"""Text of one line: no control characters, so that it can be stored, logged and shown."""
# the bounds before the validator: behind it pydantic counts entries instead of characters
Name = Annotated[str, Field(min_length=1, max_length=NAME_CHARS), AfterValidator(_line)]
AddressText = Annotated[str, Field(max_length=253), AfterValidator(_line)]
Reason = Annotated[
    str,
    Field(min_length=1, max_length=REASON_CHARS, description="Kept in the tenant's journal: name no people"),
    AfterValidator(_line),
]


def _slug(value: str) -> str:
    if not is_slug(value):
        raise PydanticCustomError("no_slug", "not a slug")
    return value


Slug = Annotated[str, AfterValidator(_slug), Field(json_schema_extra={"pattern": SLUG_PATTERN})]
Cursor = Annotated[str, Field(max_length=512, pattern=r"^[\w=+/.:-]+$")]
