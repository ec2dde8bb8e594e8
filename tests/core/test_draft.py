"""Refusals SND-4 to SND-24 and the plan of copies, each rule by number."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demail_gateway.core.address import TrustedDomains
from demail_gateway.core.draft import (
    AttachmentFacts,
    DraftInput,
    FormalService,
    Plan,
    PlannedCopy,
    QuotaUse,
    SenderPermission,
    SenderSituation,
    examine,
)
from demail_gateway.core.errors import RuleViolation, Violation
from demail_gateway.core.limits import GUIDELINE, MIB
from demail_gateway.core.options import OPTION_NAMES, PROFILES, RequestedOptions
from demail_gateway.core.vocabulary import AccountState, AuthLevel, RecipientKind

SENDER = "poststelle@stadt-elbtal.de-mail.de"
ERIKA = "erika.mustermann@dmda-b.example"
MAX = "max.mustermann@dmda-b.example"
ARCHIVE = "archiv@stadt-elbtal.de-mail.de"
MAILBOX = "buerger@gmx.example"

SITUATION = SenderSituation(
    may_use={SENDER: SenderPermission()},
    trusted=TrustedDomains(frozenset({"de-mail.de", "dmda-b.example"})),
    auth_level=AuthLevel.HIGH,
    tenant_may_send=True,
    account_state=AccountState.ACTIVE,
    retrieval_entitlement=True,
    polled_addresses=frozenset({SENDER, ARCHIVE}),
)
DRAFT = DraftInput(sender=SENDER, to=(ERIKA,), subject="Bescheid", text="Guten Tag")
SERVICE = FormalService("Stadt Elbtal", "Erika Mustermann", "Hauptstraße 1\n01099 Elbtal", "A. Amtmann", notice=True)


def violations(draft: DraftInput, situation: SenderSituation = SITUATION) -> tuple[Violation, ...]:
    with pytest.raises(RuleViolation) as caught:
        examine(draft, situation)
    return caught.value.violations


def broken(draft: DraftInput, situation: SenderSituation = SITUATION) -> list[tuple[str, str, str]]:
    return [(v.rule, v.code, v.pointer) for v in violations(draft, situation)]


def changed(**changes: Any) -> DraftInput:
    return replace(DRAFT, **changes)


def situated(**changes: Any) -> SenderSituation:
    return replace(SITUATION, **changes)


def file(name: str = "bescheid.pdf", content_type: str = "application/pdf", size_bytes: int = 10) -> AttachmentFacts:
    return AttachmentFacts(name, content_type, size_bytes)


REFUSALS = [
    ("SND-10", "sender-not-authorised", "/from", changed(sender=ARCHIVE), SITUATION),
    ("SND-10", "sender-not-authorised", "/from", changed(sender="x@elsewhere.example"), SITUATION),
    ("SND-11", "recipient-not-demail", "/to/0", changed(to=(MAILBOX,)), SITUATION),
    ("SND-11", "recipient-not-demail", "/cc/0", changed(to=(), cc=("x@notde-mail.de",)), SITUATION),
    ("SND-12", "reply-to-not-demail", "/reply_to", changed(reply_to=MAILBOX), SITUATION),
    ("SND-12", "reply-to-not-demail", "/reply_to", changed(reply_to="no address"), SITUATION),
    ("SND-13", "reply-to-not-polled", "/reply_to", changed(reply_to=ERIKA, profile="receipt-proof"), SITUATION),
    (
        "SND-14",
        "auth-level-too-low",
        "/options/private",
        changed(options=RequestedOptions(private=True)),
        situated(auth_level=AuthLevel.NORMAL),
    ),
    (
        "SND-15",
        "pseudonym-not-allowed",
        "/options/authoritative",
        changed(sender="pn_elbhang@dmda-b.example", options=RequestedOptions(authoritative=True)),
        situated(may_use={"pn_elbhang@dmda-b.example": SenderPermission()}, natural_person=True),
    ),
    (
        "SND-16",
        "retrieval-proof-not-permitted",
        "/options/confirmation_of_retrieve",
        changed(options=RequestedOptions(confirmation_of_retrieve=True)),
        situated(retrieval_entitlement=False),
    ),
    (
        "SND-17",
        "quota-exceeded",
        "",
        DRAFT,
        situated(auth_level=AuthLevel.NORMAL, quota=QuotaUse(messages_24h=100)),
    ),
    (
        "SND-17",
        "quota-exceeded",
        "",
        DRAFT,
        situated(auth_level=AuthLevel.NORMAL, quota=QuotaUse(recipients_day=300)),
    ),
    ("SND-17", "quota-exceeded", "", DRAFT, situated(limits=replace(GUIDELINE, messages_per_day=0))),
    ("SND-19", "too-large", "", changed(attachments=(file(size_bytes=20 * MIB),)), SITUATION),
    (
        "SND-19",
        "too-large",
        "",
        changed(attachments=(file(size_bytes=8 * MIB),)),
        situated(limits=replace(GUIDELINE, gross_bytes=10 * MIB)),
    ),
    ("SND-19", "too-large", "/to", changed(to=(ERIKA, MAX)), situated(limits=replace(GUIDELINE, recipients=1))),
    ("SND-19", "too-large", "/attachments", changed(attachments=(file(),) * 501), SITUATION),
    ("SND-20", "account-state", "", DRAFT, situated(tenant_may_send=False)),
    *(
        ("SND-20", "account-state", "/from", DRAFT, situated(account_state=state))
        for state in AccountState
        if state is not AccountState.ACTIVE
    ),
    ("SND-21", "system-address", "/from", changed(sender="Versandbestaetigung@de-mail.de"), SITUATION),
    ("SND-21", "system-address", "/from", changed(sender="meldung@anywhere.example"), SITUATION),
    (
        "SND-21",
        "system-address",
        "/from",
        changed(sender="postmaster@de-mail.de"),
        situated(system_local_parts=frozenset({"Postmaster"})),
    ),
    ("SND-22", "reference-too-long", "/reference", changed(reference="x" * 1025), SITUATION),
    ("SND-23", "invalid-message", "/to", changed(to=()), SITUATION),
    ("SND-23", "invalid-message", "/from", changed(sender="a@b.example, c@d.example"), SITUATION),
    ("SND-23", "invalid-message", "/subject", changed(subject="  "), SITUATION),
    ("SND-23", "invalid-message", "/subject", changed(subject="x" * 1001), SITUATION),
    ("SND-23", "invalid-message", "/text", changed(text=None), SITUATION),
    ("SND-23", "invalid-message", "/text", changed(text="a\0b"), SITUATION),
    ("SND-23", "invalid-message", "/html", changed(html="\ud800"), SITUATION),
    ("SND-23", "invalid-message", "/cc/0", changed(cc=(ERIKA.upper(),)), SITUATION),
    ("SND-23", "invalid-message", "/profile", changed(profile="receipt-prof"), SITUATION),
    ("SND-23", "invalid-message", "/formal_service", changed(formal_service=SERVICE), SITUATION),
    ("SND-23", "invalid-message", "/attachments/0", changed(attachments=(file(size_bytes=-1),)), SITUATION),
    ("ADR-1", "recipient-invalid", "/to/0", changed(to=("erika.mustermann",)), SITUATION),
    ("ADR-2", "recipient-invalid", "/to/0", changed(to=(f"{'a' * 65}@de-mail.de",)), SITUATION),
    ("ADR-2", "recipient-invalid", "/to/0", changed(to=(f"a@{'a.' * 94}de-mail.de",)), SITUATION),
    ("ADR-2", "recipient-invalid", "/bcc/0", changed(bcc=(f"{'a' * 64}@{'a.' * 88}aa.de-mail.de",)), SITUATION),
    ("ADR-3", "recipient-invalid", "/to/0", changed(to=("müller@de-mail.de",)), SITUATION),
    ("ADR-33", "recipient-invalid", "/to/0", changed(to=("Meldung@dmda-b.example",)), SITUATION),
    ("LAW-2", "recipient-court", "/to/0", DRAFT, situated(court_addresses=frozenset({ERIKA}))),
]


@pytest.mark.clause(
    "TR 01201-3.1 steps 2–3, 9, 12–25",
    "TR 01201-3.1 step 2 FC-01",
    "TR 01201-3.1 step 2 FC-02",
    "TR 01201-3.1 step 3 FC-01",
    "TR 01201-3.1 step 9 FC-02",
    "TR 01201-3.1 step 12 FC-01",
    "TR 01201-3.1 steps 26–28",
    "TR 01201-3.4 §3.1.17 length",
)
@pytest.mark.parametrize(("rule", "code", "pointer", "draft", "situation"), REFUSALS)
def test_each_rule_is_refused_with_its_number_code_and_place(
    rule: str, code: str, pointer: str, draft: DraftInput, situation: SenderSituation
) -> None:
    assert broken(draft, situation) == [(rule, code, pointer)]


@pytest.mark.parametrize("control", ["\r", "\n", "\0", "\x1b", "\t", "\x7f", "\x85", "\u2028", "\u2029", "\ud800"])
@pytest.mark.parametrize(
    ("pointer", "change"),
    [
        ("/subject", lambda evil: changed(subject=evil)),
        ("/reference", lambda evil: changed(reference=evil)),
        ("/from", lambda evil: changed(sender=evil + SENDER)),
        ("/to/0", lambda evil: changed(to=(ERIKA + evil,))),
        ("/cc/0", lambda evil: changed(cc=(evil,))),
        ("/bcc/1", lambda evil: changed(bcc=(MAX, f"a{evil}@de-mail.de"))),
        ("/reply_to", lambda evil: changed(reply_to=ARCHIVE + evil)),
        ("/attachments/1/filename", lambda evil: changed(attachments=(file(), file(f"a{evil}.pdf")))),
        ("/attachments/0/content_type", lambda evil: changed(attachments=(file(content_type=f"text/plain{evil}"),))),
    ],
)
def test_nothing_can_break_out_of_a_header_line(pointer: str, change: Any, control: str) -> None:
    evil = f"x{control}Bcc: somebody@elsewhere.example"
    assert broken(change(evil)) == [("SND-23", "invalid-message", pointer)]


@pytest.mark.parametrize("name", ["", "..", " ", "a/b.pdf", "..\\b.pdf", "bescheid\u202efdp.exe", "a" * 256])
def test_a_file_name_is_a_name(name: str) -> None:
    assert broken(changed(attachments=(file(name),))) == [("SND-23", "invalid-message", "/attachments/0/filename")]


@pytest.mark.parametrize(
    "content_type",
    ["", "pdf", "application/", "/pdf", "application/pdf/x", "multipart/mixed", "Message/RFC822", "text/plain;",
     "text/plain; charset", "text/plain; charset=ü", 'text/plain; name="a', "text /plain", "a/" + "b" * 300],
)  # fmt: skip
def test_an_impossible_content_type_is_refused(content_type: str) -> None:
    expected = [("SND-23", "invalid-message", "/attachments/0/content_type")]
    assert broken(changed(attachments=(file(content_type=content_type),))) == expected


@pytest.mark.parametrize(
    "content_type", ["application/pdf", "text/plain; charset=utf-8", 'text/csv; header="a \\"b\\""', "image/svg+xml"]
)
def test_a_possible_content_type_passes(content_type: str) -> None:
    examine(changed(attachments=(file(content_type=content_type),)), SITUATION)


def test_all_violations_come_at_once_in_the_order_of_the_contract() -> None:
    draft = DraftInput(
        sender=ARCHIVE,
        to=(MAILBOX, ERIKA, "meldung@de-mail.de"),
        reply_to=MAX,
        subject="",
        text="x",
        options=RequestedOptions(confirmation_of_retrieve=True, private=False),
        reference="x" * 2000,
    )
    situation = situated(auth_level=AuthLevel.NORMAL, retrieval_entitlement=False, tenant_may_send=False)
    rules = [rule for rule, _, _ in broken(draft, situation)]
    assert rules == ["SND-23", "SND-10", "SND-11", "SND-24", "SND-4", "SND-13", "SND-14", "SND-16", "SND-20", "SND-22",
                     "ADR-33"]  # fmt: skip


@pytest.mark.clause("TR 01201-3.1 steps 15–17")
def test_mixed_addressing_is_told_beside_the_recipient() -> None:
    assert broken(changed(to=(ERIKA, MAILBOX))) == [
        ("SND-11", "recipient-not-demail", "/to/1"),
        ("SND-24", "recipient-not-demail", ""),
    ]


def test_every_violation_speaks_german_and_english() -> None:
    for *_, draft, situation in REFUSALS:
        for violation in violations(draft, situation):
            assert violation.detail_de
            assert violation.detail_en
            assert violation.detail_de != violation.detail_en


def test_the_error_s_text_shows_codes_and_no_content() -> None:
    with pytest.raises(RuleViolation) as caught:
        examine(changed(to=(MAILBOX,), subject=""), SITUATION)
    assert str(caught.value) == "invalid-message, recipient-not-demail"
    assert MAILBOX not in repr(DRAFT)
    assert "Bescheid" not in repr(examine(DRAFT, SITUATION))


def test_an_umlaut_address_is_refused_with_a_suggestion_and_never_rewritten() -> None:
    """ADR-40."""
    (violation,) = violations(changed(to=("müller@de-mail.de",)))
    assert "mueller@de-mail.de" in violation.detail_de
    assert "mueller@de-mail.de" in violation.detail_en


def test_an_option_outside_the_matrix_is_refused_at_the_option() -> None:
    """GWT-30."""
    situation = situated(may_use={SENDER: SenderPermission(frozenset({"confirmation_of_dispatch"}))})
    options = RequestedOptions(confirmation_of_dispatch=True, confirmation_of_receipt=True)
    assert broken(changed(options=options), situation) == [
        ("SND-10", "sender-not-authorised", "/options/confirmation_of_receipt")
    ]


UNKNOWN_ACCOUNT = situated(
    account_known=False,
    may_use={},
    auth_level=AuthLevel.NORMAL,
    account_state=AccountState.UNKNOWN,
    retrieval_entitlement=False,
    quota=QuotaUse(5000, 5000, 5000, 5000),
)
NOT_HIS = ("SND-10", "sender-not-authorised", "/from")


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_a_wrong_sender_accuses_no_other_field(profile: str) -> None:
    service = SERVICE if profile == "formal-service" else None
    assert broken(changed(profile=profile, formal_service=service, reply_to=SENDER), UNKNOWN_ACCOUNT) == [NOT_HIS]


def test_beside_a_wrong_sender_what_is_certain_is_told() -> None:
    draft = changed(to=(ERIKA, MAILBOX, "müller@de-mail.de"), cc=("meldung@de-mail.de",), reply_to=MAILBOX)
    assert broken(draft, UNKNOWN_ACCOUNT) == [
        NOT_HIS,
        ("SND-11", "recipient-not-demail", "/to/1"),
        ("SND-24", "recipient-not-demail", ""),
        ("SND-12", "reply-to-not-demail", "/reply_to"),
        ("ADR-3", "recipient-invalid", "/to/2"),
        ("ADR-33", "recipient-invalid", "/cc/0"),
    ]


def test_without_any_list_of_domains_no_recipient_is_called_an_e_mail_address() -> None:
    nothing_known = replace(UNKNOWN_ACCOUNT, trusted=TrustedDomains(frozenset()))
    draft = changed(to=(ERIKA, MAILBOX, "x"), reply_to=ERIKA, options=RequestedOptions())
    assert broken(draft, nothing_known) == [NOT_HIS, ("ADR-1", "recipient-invalid", "/to/2")]


def test_a_rule_broken_by_a_profile_points_at_the_profile() -> None:
    assert broken(changed(profile="written-form"), situated(auth_level=AuthLevel.NORMAL)) == [
        ("SND-14", "auth-level-too-low", "/profile")
    ]


def test_profile_and_options_together_are_refused() -> None:
    assert ("SND-23", "invalid-message", "/profile") in broken(changed(profile="standard", options=RequestedOptions()))


def test_formal_service_names_each_missing_field() -> None:
    """SND-7."""
    pointers = [
        "/formal_service/authority",
        "/formal_service/addressee/name",
        "/formal_service/addressee/postal_address",
        "/formal_service/official",
        "/formal_service/notice",
    ]
    expected = [("SND-7", "formal-service-incomplete", pointer) for pointer in pointers]
    assert broken(changed(profile="formal-service")) == expected
    blank = FormalService(" ", "", "\n", None, notice=False)
    assert broken(changed(profile="formal-service", formal_service=blank)) == expected


def test_a_field_of_formal_service_cannot_fake_another_line() -> None:
    forged = replace(SERVICE, official="A. Amtmann\nZustellende Behörde: Land")
    assert broken(changed(profile="formal-service", formal_service=forged)) == [
        ("SND-23", "invalid-message", "/formal_service/official")
    ]


# --- plans -----------------------------------------------------------------------------------------------------------


def plan(**changes: Any) -> Plan:
    return examine(changed(**changes), SITUATION)


def shown(copy: PlannedCopy) -> tuple[list[str], list[str], list[str]]:
    return list(map(str, copy.to)), list(map(str, copy.cc)), list(map(str, copy.bcc))


def served(copy: PlannedCopy) -> list[str]:
    return [str(recipient.address) for recipient in copy.envelope]


def test_a_plain_draft_is_one_copy_for_its_recipients() -> None:
    (copy,) = plan(to=(ERIKA, MAX), cc=(ARCHIVE,)).copies
    assert shown(copy) == ([ERIKA, MAX], [ARCHIVE], [])
    assert served(copy) == [ERIKA, MAX, ARCHIVE]


@pytest.mark.clause("TR 01201-3.4 §3.1.8 bcc")
def test_bcc_copy_names_only_its_own_recipient() -> None:
    """MF-19, TR 01201-3.4 §3.1.8."""
    main, first, second = plan(to=(ERIKA,), bcc=(MAX, ARCHIVE)).copies
    assert shown(main) == ([ERIKA], [], [])
    assert (shown(first), served(first)) == (([ERIKA], [], [MAX]), [MAX])
    assert (shown(second), served(second)) == (([ERIKA], [], [ARCHIVE]), [ARCHIVE])


def test_only_bcc_makes_no_main_copy() -> None:
    assert [served(copy) for copy in plan(to=(), bcc=(MAX, ARCHIVE)).copies] == [[MAX], [ARCHIVE]]


@pytest.mark.parametrize(
    ("changes", "split"),
    [
        ({}, False),
        ({"profile": "standard"}, False),
        ({"profile": "dispatch-proof"}, True),
        ({"options": RequestedOptions(authoritative=True, private=True)}, False),
        ({"profile": "receipt-proof", "split_recipients": False}, False),
        ({"split_recipients": True}, True),
        ({"profile": "formal-service", "formal_service": SERVICE, "split_recipients": False}, True),
    ],
)
def test_splitting_is_on_for_proofs_and_always_for_formal_service(changes: dict[str, Any], split: bool) -> None:
    """SND-48."""
    made = plan(to=(ERIKA, MAX), cc=(ARCHIVE,), **changes)
    assert made.split is split
    assert len(made.copies) == (3 if split else 1)


def test_a_split_copy_names_only_its_recipient_in_its_own_kind() -> None:
    first, second = plan(cc=(MAX,), split_recipients=True).copies
    assert (shown(first), shown(second)) == (([ERIKA], [], []), ([], [MAX], []))
    assert second.envelope[0].kind is RecipientKind.CC


def test_the_notice_of_formal_service_stands_in_front_of_the_text() -> None:
    made = plan(profile="formal-service", formal_service=SERVICE, html="<html><BODY class=x><p>Hallo</p></BODY></html>")
    assert made.text is not None
    assert made.text.startswith("FÖRMLICHE ZUSTELLUNG GEGEN ABHOLBESTÄTIGUNG (§ 5a Absatz 1 VwZG)\n")
    for fact in ("Stadt Elbtal", "Erika Mustermann", "  Hauptstraße 1\n  01099 Elbtal", "A. Amtmann"):
        assert fact in made.text
    assert made.text.endswith("\n\nGuten Tag")
    assert made.html is not None
    assert made.html.startswith("<html><BODY class=x><p>FÖRMLICHE ZUSTELLUNG")
    assert made.net_size_bytes == len(made.text.encode()) + len(made.html.encode())


def test_names_in_the_notice_cannot_inject_markup() -> None:
    service = replace(SERVICE, addressee_name="<script>x</script>")
    made = plan(profile="formal-service", formal_service=service, text=None, html="<p>Hallo</p>")
    assert made.html is not None
    assert "<script>" not in made.html
    assert made.text is not None
    assert made.text.endswith("A. Amtmann\n\n")


def test_formal_service_may_have_the_notice_as_its_only_text() -> None:
    assert plan(profile="formal-service", formal_service=SERVICE, text=None).html is None


def test_the_plan_keeps_the_decisions() -> None:
    made = examine(
        changed(reply_to=ARCHIVE.upper(), sender=SENDER.upper(), encrypt=True, attachments=(file(size_bytes=5),)),
        situated(sign_by_default=True),
    )
    assert (str(made.sender), str(made.reply_to)) == (SENDER, ARCHIVE)
    assert (made.sign, made.encrypt, made.net_size_bytes) == (True, True, len("Guten Tag") + 5)
    assert plan(sign=True).sign is True
    assert examine(changed(sign=False), situated(sign_by_default=True)).sign is False


@pytest.mark.clause("TR 01201-3.1 step 26")
def test_quotas_of_the_guideline_do_not_bind_at_level_high() -> None:
    """SND-62."""
    examine(DRAFT, situated(quota=QuotaUse(5000, 5000, 5000, 5000)))


@pytest.mark.clause("TR 01201-3.1 step 26")
def test_the_last_free_message_of_the_day_passes() -> None:
    examine(DRAFT, situated(auth_level=AuthLevel.NORMAL, quota=QuotaUse(99, 99, 299, 299)))


# --- laws ------------------------------------------------------------------------------------------------------------

addresses = st.sampled_from([ERIKA, MAX, ARCHIVE, MAILBOX, SENDER, "meldung@de-mail.de", "müller@de-mail.de", "x"])
lists = st.lists(addresses, max_size=3).map(tuple)
drafts = st.builds(
    DraftInput,
    sender=addresses,
    to=lists,
    cc=lists,
    bcc=lists,
    reply_to=st.none() | addresses,
    subject=st.sampled_from(["Bescheid", "", "a\r\nb"]),
    text=st.none() | st.text(max_size=3),
    options=st.none() | st.builds(RequestedOptions, *[st.none() | st.booleans()] * 5),
    profile=st.none() | st.sampled_from([*PROFILES, "none"]),
    formal_service=st.none() | st.just(SERVICE) | st.just(FormalService()),
    split_recipients=st.none() | st.booleans(),
    attachments=st.sampled_from([(), (file(),), (file(size_bytes=30 * MIB),)]),
)
situations = st.builds(
    lambda level, state, entitled, person, used, may: replace(
        SITUATION, auth_level=level, account_state=state, retrieval_entitlement=entitled, natural_person=person,
        quota=QuotaUse(used, 0, 0, used), may_use=may,
    ),
    st.sampled_from(AuthLevel),
    st.sampled_from(AccountState),
    st.booleans(),
    st.booleans(),
    st.integers(0, 400),
    st.dictionaries(addresses, st.builds(SenderPermission, st.none() | st.frozensets(st.sampled_from(OPTION_NAMES)))),
)  # fmt: skip
good_recipients = st.lists(
    st.integers(0, 30).map(lambda n: f"r{n}@dmda-b.example"), unique=True, min_size=1, max_size=9
)


def all_broken(draft: DraftInput, situation: SenderSituation) -> set[Violation]:
    try:
        examine(draft, situation)
    except RuleViolation as error:
        return set(error.violations)
    return set()


@given(drafts, situations)
def test_raising_the_auth_level_never_adds_a_violation(draft: DraftInput, situation: SenderSituation) -> None:
    high = all_broken(draft, replace(situation, auth_level=AuthLevel.HIGH))
    assert high <= all_broken(draft, replace(situation, auth_level=AuthLevel.NORMAL))


@given(drafts, situations)
def test_an_unknown_account_is_refused_nothing_that_a_known_one_may_do(
    draft: DraftInput, situation: SenderSituation
) -> None:
    """Whatever the account turns out to be, what was told beside the sender holds."""
    unknown = all_broken(draft, replace(situation, account_known=False, may_use={}))
    known = all_broken(draft, replace(situation, may_use={}))
    assert unknown <= known


@given(drafts, situations)
def test_mending_one_fault_never_hides_the_others(draft: DraftInput, situation: SenderSituation) -> None:
    before = {v.pointer for v in all_broken(draft, situation) if not v.pointer.startswith("/subject")}
    after = {v.pointer for v in all_broken(replace(draft, subject="Bescheid"), situation)}
    assert before == after


@pytest.mark.clause("TR 01201-3.4 §3.1.8 bcc", "TR 01201-3.4 §3.1.21 bcc")
@given(good_recipients, st.data(), st.booleans())
def test_every_recipient_is_in_exactly_one_copy_and_only_its_own_bcc_is_seen(
    recipients: list[str], data: st.DataObject, split: bool
) -> None:
    first = data.draw(st.integers(0, len(recipients)))
    second = data.draw(st.integers(first, len(recipients)))
    to, cc, bcc = recipients[:first], recipients[first:second], recipients[second:]
    copies = plan(to=tuple(to), cc=tuple(cc), bcc=tuple(bcc), split_recipients=split).copies
    assert sorted(address for copy in copies for address in served(copy)) == sorted(recipients)
    for copy in copies:
        seen_to, seen_cc, seen_bcc = shown(copy)
        assert set(seen_to) <= set(to)
        assert set(seen_cc) <= set(cc)
        assert seen_bcc == [address for address in served(copy) if address in bcc]
        assert len(seen_bcc) <= 1
        assert set(served(copy)) <= {*seen_to, *seen_cc, *seen_bcc}


@given(st.binary(max_size=30), st.text(max_size=30))
def test_any_text_is_judged_and_never_crashes(octets: bytes, text: str) -> None:
    strange = octets.decode("utf-8", "surrogateescape") + text
    all_broken(
        DraftInput(
            sender=strange, to=(strange,), cc=(text,), reply_to=strange, subject=strange, text=strange, html=strange,
            reference=strange, profile=text, attachments=(file(strange, strange),),
        ),
        SITUATION,
    )  # fmt: skip
