"""The one file of a multipart/form-data request (RFC 7578), handed on piece by piece: never held, never spooled."""

from __future__ import annotations

from collections.abc import AsyncIterator

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from demail_gateway.api.problems import invalid

FIELD = "file"
MAX_HEADER_BYTES = 4096


class FilePart:
    """The part `file`: its name and type are known after `begin`; its octets come from `chunks`."""

    def __init__(self, content_type: str, stream: AsyncIterator[bytes]) -> None:
        _, parameters = parse_options_header(content_type)
        boundary = parameters.get(b"boundary")
        if not boundary:
            raise _malformed()
        self.filename = ""
        self.content_type = "application/octet-stream"
        self._stream = stream
        self._name = b""
        self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._ready = self._ended = self._closed = False
        self._pending: list[bytes] = []
        callbacks = {
            "on_part_begin": self._part_begins,
            "on_part_data": self._data,
            "on_part_end": self._part_ends,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_ends,
            "on_headers_finished": self._headers_end,
            "on_end": self._all_ends,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks, max_header_size=MAX_HEADER_BYTES)  # type: ignore[arg-type]
        except FormParserError as error:
            raise _malformed() from error

    async def begin(self) -> None:
        """Reads until the part's headers are known. Raises Problem(invalid-request)."""
        async for chunk in self._stream:
            self._feed(chunk)
            if self._ready:
                return
        raise _malformed()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The octets. Raises Problem(invalid-request) when the form ends early or holds anything else."""
        for piece in self._taken():
            yield piece
        async for chunk in self._stream:
            self._feed(chunk)
            for piece in self._taken():
                yield piece
        if not self._closed:
            raise _malformed()

    def _feed(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _malformed() from error

    def _taken(self) -> list[bytes]:
        pieces, self._pending = self._pending, []
        return pieces

    def _part_begins(self) -> None:
        if self._ready:
            raise invalid(
                "invalid-request", "", "Das Formular darf nur den Teil „file“ haben.", "Only the part file is allowed."
            )
        self._headers = {}

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_ends(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _headers_end(self) -> None:
        kind, parameters = parse_options_header(self._headers.get(b"content-disposition", b""))
        if kind != b"form-data" or parameters.get(b"name") != FIELD.encode():
            raise invalid(
                "invalid-request", f"/{FIELD}", "Erwartet wird der Teil „file“.", "The part file is expected."
            )
        try:
            self.filename = parameters.get(b"filename", b"").decode("utf-8")
            self.content_type = self._headers.get(b"content-type", b"application/octet-stream").decode("ascii").strip()
        except UnicodeDecodeError as error:
            raise _malformed() from error
        self._ready = True

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._pending.append(data[start:end])

    def _part_ends(self) -> None:
        self._ended = True

    def _all_ends(self) -> None:
        self._closed = self._ended


def _malformed() -> Exception:
    return invalid(
        "invalid-request",
        "",
        "Das ist kein vollständiges multipart/form-data (RFC 7578).",
        "This is no complete multipart/form-data (RFC 7578).",
    )
