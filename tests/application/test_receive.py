"""What came in ends as a proof or as an inbox entry, whatever it contains."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from demail_gateway.application.batch import Work
from demail_gateway.application.inspect import Tools
from demail_gateway.application.inspect_content import ContentSigners
from demail_gateway.application.ports.arrivals import NewEvidence, NewInbound, SentCopyRecord, StoredArrival
from demail_gateway.application.ports.connections import Connection
from demail_gateway.application.ports.scanning import Scanner, ScanResult, ScanVerdict
from demail_gateway.application.ports.submissions import NewRecipient
from demail_gateway.application.ports.work import Lease, WorkKind
from demail_gateway.application.receive import Receive, ReceivePolicy
from demail_gateway.core.checks import Outcome
from demail_gateway.core.delivery_facts import Effect
from demail_gateway.core.eicar import EICAR
from demail_gateway.core.errors import KeyUnavailable, StoreUnavailable
from demail_gateway.core.primitives import CertificateStatus, CertificateVerdict, Judge, StatusGap
from demail_gateway.core.vocabulary import ConfirmationKind, NotificationType, RecipientKind, UndeliverableReason
from demail_gateway.scanning.eicar_scanner import ENGINE, EicarScanner
from demail_gateway.scanning.no_scanner import NoScanner
from demail_gateway.trust.verifier import CryptographyVerifier
from tests.application.outbox_fake import Clock, FakeInstallation
from tests.core import idents
from tests.core.proofs import (
    AT,
    COPY,
    ERIKA,
    ORIGINAL_OCTETS,
    RECEIVED_AT,
    SENDER,
    SENT,
    SIGNATURES,
    STATUS_UNKNOWN,
    TRUSTED,
    notice,
    sealed,
    unsealed,
)
from tests.core.vector_trust import VECTORS, VectorJudge

NO_SCANNER = NoScanner()


class _Unable(NoScanner):
    async def message(self, octets: bytes) -> ScanResult:
        return ScanResult(ScanVerdict.UNSCANNABLE)


TENANT, MESSAGE, RECIPIENT, CONNECTION = UUID(int=1), UUID(int=50), UUID(int=51), UUID(int=2)
BOX = str(SENDER)
RECORD = SentCopyRecord(
    message_id=MESSAGE,
    copy_id=COPY,
    sender=str(SENDER),
    reply_to=None,
    subject=SENT.subject,
    options=SENT.options,
    private_id=SENT.private_id,
    internet_message_id="<x@y>",
    demail_message_id=None,
    integrity_value=None,
    submitted_at=SENT.submitted_at,
    octets=ORIGINAL_OCTETS,
    recipients=(NewRecipient(RECIPIENT, COPY, RecipientKind.TO, 0, str(ERIKA)),),
)
RECEIPT = sealed(unsealed(ConfirmationKind.RECEIPT))
NORMAL = (VECTORS / "messages" / "original-with-private-id.eml").read_bytes()


@dataclass
class FakeArrivals:
    octets: bytes = b""
    sent: dict[str, SentCopyRecord] = field(default_factory=lambda: {"private_id": RECORD})
    evidence: list[NewEvidence] = field(default_factory=list)
    entries: list[NewInbound] = field(default_factory=list)
    postponed: list[datetime] = field(default_factory=list)
    fail: Exception | None = None
    fail_find: Exception | None = None
    asked: list[dict[str, str | None]] = field(default_factory=list)

    async def load(self, tenant_id: UUID, lease: Lease) -> StoredArrival | None:
        if self.fail is not None:
            raise self.fail
        return StoredArrival(lease.subject_id, BOX, CONNECTION, self.octets, RECEIVED_AT)

    async def find_sent(self, tenant_id: UUID, **keys: str | None) -> Mapping[str, SentCopyRecord]:
        self.asked.append(keys)
        if self.fail_find is not None:
            raise self.fail_find
        return {name: record for name, record in self.sent.items() if keys[name]}

    async def record_evidence(self, tenant_id: UUID, lease: Lease, evidence: NewEvidence) -> None:
        self.evidence.append(evidence)

    async def record_inbound(self, tenant_id: UUID, lease: Lease, inbound: NewInbound) -> None:
        self.entries.append(inbound)

    async def postpone(self, tenant_id: UUID, lease: Lease, due_at: datetime) -> None:
        self.postponed.append(due_at)


class Bench:
    def __init__(self, octets: bytes, judge: Judge | None = None, scanner: Scanner = NO_SCANNER) -> None:
        self.arrivals = FakeArrivals(octets)
        self.clock = Clock()
        self.clock.now = RECEIVED_AT + timedelta(seconds=1)
        self.judge: Judge = judge or VectorJudge()
        self.judge_after_asking: Judge | None = None
        self.asked_about: list[StatusGap] = []
        self.events: list[tuple[str, dict[str, object]]] = []

        async def tools_for(connection: Connection) -> Tools:
            return Tools(
                CryptographyVerifier(),
                SIGNATURES,
                self.judge,
                lambda certs, crls: self.judge,
                lambda signature, content, at: ContentSigners((), ()),
                TRUSTED,
            )

        self.receive = Receive(
            self.arrivals,  # type: ignore[arg-type]
            FakeInstallation(),
            tools_for,
            self.ask_status,
            scanner,
            self.clock,
            os.urandom,
            self.observe,
            ReceivePolicy(),
        )

    async def ask_status(self, connection: Connection, gaps: Iterable[StatusGap]) -> bool:
        self.asked_about += gaps
        if self.judge_after_asking is None:
            return False
        self.judge = self.judge_after_asking
        return True

    def observe(self, event: str, /, **facts: object) -> None:
        self.events.append((event, facts))

    async def run(self, tries: int = 0) -> None:
        lease = Lease(uuid4(), WorkKind.RECEIVED, UUID(int=60), uuid4(), tries, "trace")
        work = Work(TENANT, asyncio.get_running_loop().time(), 60.0, lambda: False)
        await self.receive(work, [lease])

    @property
    def evidence(self) -> NewEvidence:
        assert self.arrivals.entries == []
        (evidence,) = self.arrivals.evidence
        return evidence

    @property
    def entry(self) -> NewInbound:
        assert self.arrivals.evidence == []
        (entry,) = self.arrivals.entries
        return entry


@pytest.mark.clause("TR 01201-3.1 steps 60–61")
async def test_receipt_of_a_sent_copy_becomes_a_proof_that_moves_its_recipient() -> None:
    bench = Bench(RECEIPT)
    await bench.run()
    evidence = bench.evidence
    assert evidence.kind == "confirmation of receipt"
    assert evidence.outcome is Outcome.PASSED
    assert (evidence.message_id, evidence.copy_id, evidence.recipient_id) == (MESSAGE, COPY, RECIPIENT)
    assert evidence.recipient_address == str(ERIKA)
    assert evidence.fact is not None
    assert evidence.fact.effect is Effect.DELIVERED
    assert evidence.fact.received_at == RECEIVED_AT
    assert evidence.issued_at == AT
    assert evidence.demail_message_id is not None
    assert evidence.integrity_value is not None
    assert evidence.validation["certificates"]
    assert evidence.recheck_at is None
    assert len(evidence.checks) == 15
    assert evidence.received_id == UUID(int=60)


@pytest.mark.parametrize(
    ("kind", "effect"),
    [(ConfirmationKind.DISPATCH, Effect.DISPATCHED), (ConfirmationKind.RETRIEVE, Effect.RETRIEVED)],
)
async def test_each_confirmation_means_its_own(kind: ConfirmationKind, effect: Effect) -> None:
    bench = Bench(sealed(unsealed(kind)))
    await bench.run()
    assert bench.evidence.fact is not None
    assert bench.evidence.fact.effect is effect
    assert bench.evidence.kind == kind.value


@pytest.mark.clause("CO-16")
async def test_all_keys_of_a_confirmation_are_looked_up() -> None:
    bench = Bench(RECEIPT)
    await bench.run()
    (keys,) = bench.arrivals.asked
    assert keys["private_id"] == SENT.private_id
    assert all(keys[name] for name in ("demail_message_id", "integrity_value", "internet_message_id"))


@pytest.mark.clause("CO-16")
async def test_proof_of_no_sent_message_is_an_entry_that_says_so() -> None:
    bench = Bench(RECEIPT)
    bench.arrivals.sent = {}
    await bench.run()
    assert bench.entry.message_type == "confirmation of receipt"
    assert bench.entry.verification["findings"] == ["correlation-none"]
    assert bench.entry.quarantine is None


@pytest.mark.clause("CO-16")
async def test_keys_of_different_messages_assign_nothing() -> None:
    bench = Bench(RECEIPT)
    other = SentCopyRecord(**{f: getattr(RECORD, f) for f in RECORD.__dataclass_fields__} | {"copy_id": UUID(int=99)})
    bench.arrivals.sent = {"private_id": RECORD, "demail_message_id": other}
    await bench.run()
    assert bench.entry.verification["findings"] == ["correlation-conflict"]


@pytest.mark.clause("SND-42")
async def test_forged_confirmation_is_kept_as_failed_and_moves_nothing() -> None:
    forged = RECEIPT.replace(b"Message-ID: <b-1@", b"Message-ID: <c-1@", 1)
    assert forged != RECEIPT
    bench = Bench(forged)
    await bench.run()
    assert bench.evidence.outcome is Outcome.FAILED
    assert bench.evidence.verdict == "rejected"
    assert bench.evidence.fact is None
    assert [name for name, _ in bench.events] == ["evidence_recorded", "evidence_rejected"]


@pytest.mark.clause("TR 01201-3.1 step 83 FC-03")
async def test_undecided_status_moves_nothing_and_is_checked_again() -> None:
    bench = Bench(RECEIPT, judge=STATUS_UNKNOWN)
    await bench.run()
    evidence = bench.evidence
    assert evidence.outcome is Outcome.INDETERMINATE
    assert evidence.fact is None
    assert evidence.recheck_at is not None
    assert timedelta() < evidence.recheck_at - bench.clock.now <= timedelta(seconds=10)


class Lacking:
    """As long as nobody is asked the status is unknown."""

    def judge(self, certificate_der: bytes, at: datetime) -> CertificateVerdict:
        gap = StatusGap(certificate_der, b"issuer")
        return replace(STATUS_UNKNOWN.judge(certificate_der, at), gaps=(gap,))


@pytest.mark.clause("DIR-35")
@pytest.mark.parametrize("octets", [RECEIPT, NORMAL])
async def test_a_status_that_a_responder_tells_is_waited_for(octets: bytes) -> None:
    bench = Bench(octets, judge=Lacking())
    bench.judge_after_asking = VectorJudge()
    await bench.run()
    decided = [evidence.outcome for evidence in bench.arrivals.evidence]
    decided += [entry.verification["outcome"] for entry in bench.arrivals.entries]
    assert decided == [Outcome.PASSED]
    assert {gap.issuer_der for gap in bench.asked_about} == {b"issuer"}
    assert len(bench.asked_about) == len(set(bench.asked_about))


async def test_a_status_that_no_responder_tells_is_looked_for_again_later() -> None:
    bench = Bench(RECEIPT, judge=Lacking())
    await bench.run()
    assert bench.asked_about
    assert bench.evidence.outcome is Outcome.INDETERMINATE
    assert bench.evidence.recheck_at is not None


async def test_nobody_is_asked_about_what_is_known_already() -> None:
    bench = Bench(RECEIPT)
    await bench.run()
    assert bench.asked_about == []


@pytest.mark.clause("IN-26")
@pytest.mark.parametrize("tries", [0, 3])
async def test_every_check_judges_for_the_moment_of_reception(tries: int) -> None:
    """A certificate that ends while the revocation list is late makes the proof no worse."""
    bench = Bench(RECEIPT)
    seen: list[datetime] = []
    good = VectorJudge()

    class Noting:
        def judge(self, certificate_der: bytes, at: datetime) -> object:
            seen.append(at)
            return good.judge(certificate_der, at)

    bench.judge = Noting()  # type: ignore[assignment]
    await bench.run(tries)
    assert bench.evidence.outcome is Outcome.PASSED
    assert set(seen) == {RECEIVED_AT}


@pytest.mark.clause("CO-20")
async def test_notification_makes_its_recipient_undeliverable() -> None:
    bench = Bench(sealed(notice(NotificationType.UNKNOWN_RECIPIENT, f"Unbekannt: {ERIKA}"), None))
    await bench.run()
    evidence = bench.evidence
    assert evidence.kind == "notification unknown-recipient"
    assert evidence.notification_type is NotificationType.UNKNOWN_RECIPIENT
    assert evidence.recipient_id == RECIPIENT
    assert evidence.fact is not None
    assert evidence.fact.effect is Effect.UNDELIVERABLE
    assert evidence.fact.reason is UndeliverableReason.UNKNOWN_RECIPIENT


async def test_notification_about_no_message_of_ours_informs_the_tenant() -> None:
    bench = Bench(sealed(notice(NotificationType.OTHER, "Eine Nachricht wartet auf Sie."), None))
    bench.arrivals.sent = {}
    await bench.run()
    assert bench.entry.message_type == "notification"


@pytest.mark.clause("TR 01201-3.1 steps 48, 66", "TR 01201-3.4 §2.1.1")
async def test_ordinary_message_becomes_an_entry_with_its_verification() -> None:
    bench = Bench(NORMAL)
    await bench.run()
    entry = bench.entry
    assert entry.message_type == "normal"
    assert entry.sender == str(SENDER)
    assert entry.to == (str(ERIKA),)
    assert entry.subject == SENT.subject
    assert entry.size_bytes == len(NORMAL)
    assert entry.private_id == SENT.private_id
    assert entry.mailbox_address == BOX
    assert entry.verification["outcome"] == "passed"
    assert entry.verification["protection"] == "signature"
    assert entry.verification["scan"] == "none"
    assert {"name", "outcome", "detail", "source"} == set(entry.verification["checks"][0])
    assert entry.quarantine is None
    assert bench.arrivals.asked == [], "an ordinary message is looked up nowhere"


@pytest.mark.clause("TR 01201-4.4 §2.6", "ID-3")
async def test_ident_bestaetigung_is_an_entry_with_its_eleven_steps() -> None:
    bench = Bench(idents.MESSAGE)
    await bench.run()
    entry = bench.entry
    assert (entry.message_type, entry.verification["outcome"]) == ("identification", "passed")
    steps = [check for check in entry.verification["checks"] if check["name"].startswith("ident.")]
    assert [check["outcome"] for check in steps] == ["passed"] * 11
    assert "Mustermann" not in str(entry.verification), "identity data stay in the encrypted content"


async def test_ident_bestaetigung_for_somebody_else_is_undecided() -> None:
    """Octets that were sent on prove no identity to whom they reached (ID-3)."""
    elsewhere = idents.assertion().replace(BOX, "amt@dmda-a.example")
    octets = idents.unsealed(idents.signed(elsewhere), to=(idents.other("amt@dmda-a.example"),))
    bench = Bench(sealed(octets))
    await bench.run(tries=9)
    assert bench.entry.verification["outcome"] == "indeterminate"
    assert bench.entry.quarantine is None


@pytest.mark.clause("TR 01201-3.1 step 48 FC-01")
async def test_changed_message_is_put_into_quarantine() -> None:
    bench = Bench(NORMAL + b"mehr\r\n")
    await bench.run()
    assert bench.entry.quarantine == "integrity"
    assert bench.entry.verification["outcome"] == "failed"


@pytest.mark.clause("TR 01201-3.1 steps 54–55", "TR 01201-3.1 function 2")
async def test_message_with_malware_is_put_into_quarantine_with_what_was_found_by_whom() -> None:
    bench = Bench(NORMAL.replace(b"\r\n\r\n", b"\r\n\r\n" + EICAR + b"\r\n", 1), scanner=EicarScanner())
    await bench.run()
    assert bench.entry.quarantine == "malware", "though the seal is broken, too"
    report = bench.entry.verification
    assert (report["scan"], report["scanner"], report["malware"]) == ("infected", ENGINE, "Eicar-Test-Signature")


async def test_message_that_cannot_be_scanned_is_put_into_quarantine_as_such() -> None:
    bench = Bench(NORMAL, scanner=_Unable())
    await bench.run()
    assert bench.entry.quarantine == "unscanned"
    assert bench.entry.verification["scan"] == "unscannable"
    assert bench.entry.verification["outcome"] == "passed"


async def test_clean_message_says_which_scanner_looked_at_it() -> None:
    bench = Bench(NORMAL, scanner=EicarScanner())
    await bench.run()
    assert bench.entry.quarantine is None
    assert (bench.entry.verification["scan"], bench.entry.verification["scanner"]) == ("clean", ENGINE)


@pytest.mark.clause("TR 01201-3.1 step 48 FC-03")
async def test_entry_waits_a_little_for_a_revocation_list_and_not_for_ever() -> None:
    bench = Bench(NORMAL, judge=STATUS_UNKNOWN)
    await bench.run()
    await bench.run(tries=1)
    assert len(bench.arrivals.postponed) == 2
    assert bench.arrivals.entries == []
    await bench.run(tries=2)
    assert bench.entry.verification["outcome"] == "indeterminate"
    assert bench.entry.quarantine is None


@pytest.mark.clause("TR 01201-3.1 step 41 FC-02", "TR 01201-3.1 step 86 FC-02")
@pytest.mark.parametrize(
    "octets", [b"", b"\x00", b"no header at all", b"\r\n\r\n", b"A" * 2000, b"\xff\xfe: x\r\n\r\n"]
)
async def test_octets_that_are_no_message_are_an_entry_all_the_same(octets: bytes) -> None:
    bench = Bench(octets)
    await bench.run()
    assert bench.entry.size_bytes == len(octets)
    assert bench.entry.verification["outcome"] == "failed"
    assert bench.entry.quarantine == "integrity"


async def test_message_type_that_nobody_knows_is_an_ordinary_message() -> None:
    bench = Bench(NORMAL.replace(b"x-de-mail-message-type: normal", b"x-de-mail-message-type: postcard"))
    await bench.run()
    assert bench.entry.message_type == "postcard"


async def test_fault_of_ours_is_tried_again_and_ends_as_an_unchecked_entry() -> None:
    bench = Bench(RECEIPT)
    bench.arrivals.fail_find = ZeroDivisionError()
    for tries in range(3):
        await bench.run(tries)
    assert len(bench.arrivals.postponed) == 3
    assert bench.arrivals.entries == []
    await bench.run(tries=3)
    assert bench.entry.quarantine == "unscanned"
    assert bench.entry.options.private, "nobody knows that it is not"
    assert bench.entry.verification["findings"] == ["check-failed"]
    assert bench.events[0] == (
        "work_failed",
        {"tenant": TENANT, "received": UUID(int=60), "code": "ZeroDivisionError", "stage": "receive"},
    )


@pytest.mark.parametrize("error", [KeyUnavailable(), FileNotFoundError("anchors.pem")])
async def test_trouble_of_the_installation_is_waited_out_however_long(error: Exception) -> None:
    bench = Bench(RECEIPT)
    bench.arrivals.fail_find = error
    await bench.run(tries=50)
    assert len(bench.arrivals.postponed) == 1
    assert bench.arrivals.entries == []


async def test_database_away_is_raised_and_nothing_recorded() -> None:
    bench = Bench(RECEIPT)
    bench.arrivals.fail = StoreUnavailable()
    with pytest.raises(StoreUnavailable):
        await bench.run()
    assert bench.arrivals.postponed == []


@pytest.mark.clause("GWT-51")
async def test_reports_name_no_address_and_no_subject() -> None:
    for octets in (RECEIPT, NORMAL):
        bench = Bench(octets)
        await bench.run()
        assert "@" not in str(bench.events)
        assert "Bescheid" not in str(bench.events)


async def test_status_revoked_rejects_the_proof() -> None:
    bench = Bench(RECEIPT, judge=VectorJudge(status=CertificateStatus.REVOKED))
    await bench.run()
    assert bench.evidence.outcome is Outcome.FAILED
    assert bench.evidence.fact is None
