"""Uploads: one file, streamed into storage, to be attached to messages later."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

from demail_gateway.application.ports.submissions import Submissions, UploadFacts
from demail_gateway.application.ports.surroundings import Clock, Randomness
from demail_gateway.application.scan import ScanOutbound
from demail_gateway.core.draft import AttachmentFacts, DraftInput
from demail_gateway.core.draft_content import content_violations
from demail_gateway.core.errors import NotFound, RuleViolation, StoreUnavailable
from demail_gateway.tenancy.identifiers import uuid7
from demail_gateway.tenancy.scope import TenantScope

_POINTER = "/attachments/0"


class Attach:
    def __init__(
        self, submissions: Submissions, scan: ScanOutbound, clock: Clock, randomness: Randomness, limit_bytes: int
    ) -> None:
        self._submissions = submissions
        self._scan = scan
        self._clock = clock
        self._randomness = randomness
        self.limit_bytes = limit_bytes
        """Largest single upload; the net size of a message is judged when it is sent (MF-17)."""

    async def __call__(
        self,
        scope: TenantScope,
        filename: str,
        content_type: str,
        chunks: AsyncIterator[bytes],
        expected_sha256: bytes | None,
    ) -> UploadFacts:
        """Stores one file with constant memory.

        Raises:
            RuleViolation: a name or media type that no attachment can have (SND-23); too large (SND-19); malware
                (SND-18).
            Conflict: ``digest-mismatch``.
        """
        self.check(filename, content_type)
        now = self._clock()
        upload_id = uuid7(now, self._randomness(10))
        return await self._submissions.upload(
            scope,
            upload_id,
            filename,
            content_type,
            self._scan.upload(chunks),
            self.limit_bytes,
            expected_sha256,
            now,
        )

    async def discard(self, scope: TenantScope, upload_id: UUID) -> None:
        """Deletes what was uploaded a second time under the same key and is not told to anybody.

        When the database is away it stays: an upload without a message, as any that was never used.
        """
        with contextlib.suppress(StoreUnavailable):
            await self._submissions.discard_upload(scope, upload_id)

    async def facts(self, scope: TenantScope, upload_id: UUID) -> UploadFacts:
        """What was uploaded. Raises NotFound."""
        found = await self._submissions.uploads(scope, [upload_id])
        if upload_id not in found:
            raise NotFound
        return found[upload_id]

    def check(self, filename: str, content_type: str) -> None:
        """The rules for attachments of a message, applied before its octets come. Raises RuleViolation."""
        facts = AttachmentFacts(filename, content_type, 0)
        found = content_violations(DraftInput(sender="", attachments=(facts,)))
        violations = [replace(v, pointer=v.pointer[len(_POINTER) :]) for v in found if v.pointer.startswith(_POINTER)]
        if violations:
            raise RuleViolation(violations)
