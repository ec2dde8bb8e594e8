"""Malware in what clients send: found before anything is stored or leaves (SND-18; TR 01201-3.1 step 8, §3.1.3.1)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from demail_gateway.application.ports.scanning import Scan, Scanner, ScanVerdict
from demail_gateway.application.submission import Inline, Submission
from demail_gateway.core.draft_content import malware_found
from demail_gateway.core.errors import RuleViolation


class ScanOutbound:
    """Looks at submissions and uploads with the installation's scanner."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner

    async def submission(self, submission: Submission) -> tuple[str, ...]:
        """JSON pointers of the parts in which malware was found. Uploads were looked at when they came."""
        return tuple([pointer for pointer, octets in _parts(submission) if await self._infected(octets)])

    async def upload(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same chunks, looked at as they pass. Raises RuleViolation (SND-18) instead of ending."""
        scan = self._scanner.file()
        async for chunk in chunks:
            await scan.feed(chunk)
            yield chunk
        if await _found(scan):
            raise RuleViolation([malware_found("")])

    async def _infected(self, octets: bytes) -> bool:
        scan = self._scanner.file()
        await scan.feed(octets)
        return await _found(scan)


def _parts(submission: Submission) -> Iterator[tuple[str, bytes]]:
    draft = submission.draft
    for name, text in (("text", draft.text), ("html", draft.html)):
        if text:
            # what is no Unicode text is refused by another rule and scanned all the same
            yield f"/{name}", text.encode(errors="replace")
    for index, attachment in enumerate(submission.attachments):
        if isinstance(attachment, Inline):
            yield f"/attachments/{index}", attachment.octets


async def _found(scan: Scan) -> bool:
    return (await scan.end()).verdict is ScanVerdict.INFECTED
