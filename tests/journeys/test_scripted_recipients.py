"""What becomes of a De-Mail to each recipient that the sandbox scripts, as an application sees it.

States, reasons and proofs: `sending-and-receiving.md` §5 (SND-41 to SND-49), CO-16, CO-18.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import pytest

from tests.journeys.installation import Json, until
from tests.journeys.people import (
    CITIZENS,
    DISPATCH,
    RECEIPT,
    RETRIEVE,
    WITH_ALL_PROOFS,
    WITH_DISPATCH_AND_RECEIPT,
    Application,
    Sandbox,
    body_of,
    kinds,
    octets_of,
)

SENT = ("message.queued", "message.submitted", "message.dispatched", "recipient.dispatched")
TIMES = ("dispatched_at", "delivered_at", "retrieved_at")


@dataclass(frozen=True)
class Story:
    """How it ends for a recipient whose local part is `local`."""

    local: str
    message: str
    recipient: str
    events: tuple[str, ...]
    proofs: tuple[tuple[str, str], ...]
    reason: str | None = None
    copies: int = 1
    times: int = 1
    """How many of dispatched, delivered, retrieved have a time."""
    options: dict[str, bool] = field(default_factory=lambda: WITH_DISPATCH_AND_RECEIPT)
    also: tuple[str, ...] = ()
    """Events that may be seen or passed over, as the order of things in the world has it."""


def proven(*proofs: str) -> tuple[tuple[str, str], ...]:
    return tuple((kind, "passed") for kind in proofs)


DELIVERED = (*SENT, "recipient.delivered", "message.completed")
RETRIEVED = (*SENT, "recipient.delivered", "recipient.retrieved", "message.completed")
UNDELIVERABLE = (*SENT, "recipient.undeliverable", "message.completed")

STORIES = (
    Story(
        "buergerin",
        "completed",
        "retrieved",
        RETRIEVED,
        proven(DISPATCH, RECEIPT, RETRIEVE),
        times=3,
        options=WITH_ALL_PROOFS,
    ),
    Story(
        "never-retrieves",
        "dispatched",
        "delivered",
        (*SENT, "recipient.delivered"),
        proven(DISPATCH, RECEIPT),
        times=2,
        options=WITH_ALL_PROOFS,
    ),
    Story(
        "normal-level",
        "completed",
        "undeliverable",
        UNDELIVERABLE,
        proven(DISPATCH, "notification other"),
        reason="needs-high-login",
        copies=0,
        options=WITH_ALL_PROOFS,
    ),
    # without persönlich nobody needs a login at high
    Story("normal-level.2", "completed", "delivered", DELIVERED, proven(DISPATCH, RECEIPT), times=2),
    Story(
        "unknown",
        "completed",
        "undeliverable",
        UNDELIVERABLE,
        proven(DISPATCH, "notification unknown-recipient"),
        reason="unknown-recipient",
        copies=0,
    ),
    Story(
        "closed",
        "completed",
        "undeliverable",
        UNDELIVERABLE,
        proven(DISPATCH, "notification closed-account"),
        reason="closed-account",
        copies=0,
    ),
    # step 56: a signed acknowledgement where a confirmation was asked for, else a notification
    Story(
        "malware",
        "completed",
        "infected",
        (*SENT, "recipient.infected", "message.completed"),
        proven(DISPATCH, "malware-acknowledge"),
        copies=0,
    ),
    Story(
        "malware.2",
        "completed",
        "infected",
        ("message.queued", "message.submitted", "recipient.infected", "message.completed"),
        proven("malware-notification"),
        copies=0,
        times=0,
        options={},
    ),
    # SND-42: unverified evidence changes no state
    Story(
        "forged-receipt",
        "dispatched",
        "dispatched",
        (*SENT, "evidence.failed"),
        ((DISPATCH, "passed"), (RECEIPT, "failed")),
    ),
    # SND-44, SND-45, CO-16
    Story(
        "duplicate-receipt",
        "completed",
        "retrieved",
        RETRIEVED,
        proven(DISPATCH, DISPATCH, RECEIPT, RECEIPT, RETRIEVE, RETRIEVE),
        times=3,
        options=WITH_ALL_PROOFS,
    ),
    Story("replies", "completed", "delivered", DELIVERED, proven(DISPATCH, RECEIPT), times=2),
    Story("slow", "completed", "delivered", DELIVERED, proven(DISPATCH, RECEIPT), times=2),
    # SND-43: the line broke after the data; evidence or the provider's look-up settle it, nothing is sent again
    Story(
        "drops",
        "completed",
        "delivered",
        DELIVERED,
        proven(DISPATCH, RECEIPT),
        times=2,
        also=("message.submitting",),
    ),
    Story(
        "rejects",
        "rejected",
        "undeliverable",
        ("message.queued", "recipient.undeliverable", "message.rejected"),
        (),
        reason="other",
        copies=0,
        times=0,
    ),
    # a number behind + delays the login
    Story(
        "buergerin+3",
        "completed",
        "retrieved",
        RETRIEVED,
        proven(DISPATCH, RECEIPT, RETRIEVE),
        times=3,
        options=WITH_ALL_PROOFS,
    ),
)


@pytest.fixture(scope="module")
def sent(town: Application) -> dict[str, str]:
    """One De-Mail to each of them, all at once: their ways take seconds."""
    return {story.local: town.send(story.local + CITIZENS, options=story.options) for story in STORIES}


@pytest.fixture(params=STORIES, ids=lambda story: story.local)
def story(request: pytest.FixtureRequest) -> Story:
    chosen: Story = request.param
    return chosen


def _ended(story: Story, town: Application, message_id: str) -> Json:
    """The message once everything is there that the story tells of."""

    def look() -> Json:
        return {**town.message(message_id), "evidence": kinds(town.evidence(message_id))}

    def good(seen: Json) -> bool:
        return bool(seen["state"] == story.message and seen["evidence"] == sorted(story.proofs))

    return until(look, good)


FAILED = frozenset({"undeliverable", "infected", "integrity-failed", "conflict"})


def test_states_proofs_and_events_are_what_the_guideline_says(
    town: Application, sandbox: Sandbox, sent: dict[str, str], story: Story
) -> None:
    message = _ended(story, town, sent[story.local])
    (recipient,) = message["recipients"]
    assert (recipient["state"], recipient["reason"]) == (story.recipient, story.reason)
    assert (message["completed_at"] is not None) == (story.message == "completed")
    assert (message["submitted_at"] is not None) == (story.message != "rejected")
    # proofs issued anew carry the times of their issue, and the first to come counts: no order follows for them
    _assert_times(recipient, story.times, in_order=story.local != "duplicate-receipt")
    events = town.events(message["id"])
    # proofs are checked side by side: bad news may overtake the Versandbestätigung, which then moves nobody (SND-44)
    overtaken = {"recipient.dispatched"} if story.recipient in FAILED else set()
    assert sorted(set(events) - set(story.also) - overtaken) == sorted(set(story.events) - overtaken)
    assert len(set(events)) == len(events)
    assert events[0] == "message.queued"
    if "message.completed" in story.events and not overtaken:
        assert events[-1] == "message.completed"


def test_a_mailbox_holds_what_was_handed_over_once(
    town: Application, sandbox: Sandbox, sent: dict[str, str], story: Story
) -> None:
    message = _ended(story, town, sent[story.local])
    items = sandbox.mailbox(story.local + CITIZENS)
    assert [item["message_type"] for item in items] == ["normal"] * story.copies
    for item in items:
        # the provider completes the header section and touches nothing behind it
        assert body_of(octets_of(item, "wire")) == body_of(town.octets(f"messages/{message['id']}/raw"))
        for proof in _verified(town.evidence(message["id"])):
            assert proof["demail_message_id"] == item["demail_message_id"]


def test_proofs_name_recipient_issuer_and_times(town: Application, sent: dict[str, str], story: Story) -> None:
    message = _ended(story, town, sent[story.local])
    for proof in _verified(town.evidence(message["id"])):
        assert proof["recipient"] == (None if proof["kind"] == DISPATCH else story.local + CITIZENS)
        assert proof["issuer"].endswith(CITIZENS)
        assert datetime.fromisoformat(proof["issued_at"]) >= datetime.fromisoformat(message["created_at"]).replace(
            microsecond=0
        )
        assert (proof["delivery_time"] is not None) == (proof["kind"] == RETRIEVE)
        assert proof["verification"]["checks"]
        octets = town.octets(f"messages/{message['id']}/evidence/{proof['id']}/raw")
        message_type = "notification" if proof["kind"].startswith("notification") else proof["kind"]
        assert f"x-de-mail-message-type: {message_type}\r\n".encode() in octets


def test_the_second_of_two_equal_confirmations_is_marked_and_moves_nothing(
    town: Application, sent: dict[str, str]
) -> None:
    (story,) = (each for each in STORIES if each.local == "duplicate-receipt")
    evidence = town.evidence(_ended(story, town, sent[story.local])["id"])
    for kind in (DISPATCH, RECEIPT, RETRIEVE):
        findings = sorted(
            "confirmation-duplicate" in e["verification"]["findings"] for e in evidence if e["kind"] == kind
        )
        assert findings == [False, True]


def test_a_forged_confirmation_says_what_is_wrong_with_it(town: Application, sent: dict[str, str]) -> None:
    (story,) = (each for each in STORIES if each.local == "forged-receipt")
    evidence = town.evidence(_ended(story, town, sent[story.local])["id"])
    (forged,) = (item for item in evidence if item["kind"] == RECEIPT)
    assert forged["verification"]["verdict"] == "rejected"
    assert {"signature-mismatch", "xml-signature-invalid"} <= set(forged["verification"]["findings"])


def test_a_login_is_as_late_as_the_address_says(town: Application, sent: dict[str, str]) -> None:
    (story,) = (each for each in STORIES if each.local == "buergerin+3")
    (recipient,) = _ended(story, town, sent[story.local])["recipients"]
    delivered, retrieved = (datetime.fromisoformat(recipient[name]) for name in ("delivered_at", "retrieved_at"))
    assert 2 <= (retrieved - delivered).total_seconds() <= 30


def test_an_answer_arrives_signed_and_with_its_attachment(town: Application, sent: dict[str, str]) -> None:
    subject = town.message(sent["replies"])["subject"]
    answer = town.inbox_item(f"AW: {subject}")
    assert answer["from"] == f"replies{CITIZENS}"
    assert answer["options"]["authoritative"] is True
    assert answer["state"] == "received"
    assert answer["quarantine"] is None
    assert (answer["verification"]["outcome"], answer["verification"]["protection"]) == ("passed", "signature")
    (attachment,) = answer["attachments"]
    octets = town.octets(f"messages/{answer['id']}/attachments/1")
    assert octets.startswith(b"%PDF-")
    assert len(octets) == attachment["size_bytes"]


def _verified(evidence: list[Json]) -> list[Json]:
    """A proof that did not verify claims nothing."""
    return [proof for proof in evidence if proof["verification"]["outcome"] == "passed"]


def _assert_times(recipient: Json, count: int, *, in_order: bool) -> None:
    times = [recipient[name] for name in TIMES]
    assert [at is not None for at in times] == [number < count for number in range(3)]
    known = [datetime.fromisoformat(at) for at in times if at is not None]
    assert known == sorted(known) or not in_order
