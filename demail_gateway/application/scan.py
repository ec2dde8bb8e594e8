"""Malware in what clients send: found before anything is stored or leaves (SND-18; TR 01201-3.1 step 8, §3.1.3.1).

What cannot be looked at to its end never passes as clean; it is refused (SND-74 asks for no more than that it waits).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from demail_gateway.application.ports.scanning import Scanner, ScanResult, ScanVerdict
from demail_gateway.application.submission import Inline, Submission
from demail_gateway.core.draft_content import malware_found, not_scannable
from demail_gateway.core.errors import RuleViolation, Violation


class ScanOutbound:
    """Looks at submissions and uploads with the installation's scanner."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner

    async def submission(self, submission: Submission) -> tuple[Violation, ...]:
        """What is wrong with its parts. Uploads were looked at when they came."""
        found = [await self._violation(pointer, octets) for pointer, octets in _parts(submission)]
        return tuple(violation for violation in found if violation is not None)

    async def upload(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same chunks, looked at as they pass. Raises RuleViolation (SND-18, SND-74) instead of ending."""
        scan = self._scanner.file()
        async for chunk in chunks:
            await scan.feed(chunk)
            yield chunk
        if (violation := _judged("", await scan.end())) is not None:
            raise RuleViolation([violation])

    async def _violation(self, pointer: str, octets: bytes) -> Violation | None:
        scan = self._scanner.file()
        await scan.feed(octets)
        return _judged(pointer, await scan.end())


def _parts(submission: Submission) -> Iterator[tuple[str, bytes]]:
    draft = submission.draft
    for name, text in (("text", draft.text), ("html", draft.html)):
        if text:
            # what is no Unicode text is refused by another rule and scanned all the same
            yield f"/{name}", text.encode(errors="replace")
    for index, attachment in enumerate(submission.attachments):
        if isinstance(attachment, Inline):
            yield f"/attachments/{index}", attachment.octets


def _judged(pointer: str, scanned: ScanResult) -> Violation | None:
    if scanned.verdict is ScanVerdict.INFECTED:
        return malware_found(pointer)
    return not_scannable(pointer) if scanned.verdict is ScanVerdict.UNSCANNABLE else None
