"""What can be wrong between a draft and its sender, its recipients, its options and its quota (SND-10 to SND-24)."""

from __future__ import annotations

from collections.abc import Iterator

from demail_gateway.core import options as option_table
from demail_gateway.core.address import Address, is_system_local_part, parse_address, suggestion
from demail_gateway.core.draft_content import has_controls, invalid
from demail_gateway.core.draft_facts import DraftInput, SenderSituation
from demail_gateway.core.errors import AddressInvalid, Violation
from demail_gateway.core.limits import GUIDELINE_NORMAL, smallest_of
from demail_gateway.core.options import OptionSituation, RequestedOptions, expand
from demail_gateway.core.plan import copy_count, splits
from demail_gateway.core.vocabulary import AccountState, AuthLevel


def requested_options(draft: DraftInput, situation: SenderSituation) -> RequestedOptions:
    """The options asked for, by name or by profile; none if the profile is unknown."""
    if draft.profile is not None:
        return situation.profiles.get(draft.profile, RequestedOptions())
    return draft.options or RequestedOptions()


def sender_violations(draft: DraftInput, situation: SenderSituation) -> Iterator[Violation]:
    """SND-10, SND-12, SND-13, SND-20, SND-21, and a sender that is no address at all (SND-23)."""
    if not situation.tenant_may_send:
        yield _account_state("", "Für diesen Mandanten ist das Senden abgeschaltet.", "Sending is off for this tenant.")
    yield from _sender_address(draft.sender, situation)
    if draft.reply_to is not None:
        yield from _reply_to(draft, draft.reply_to, situation)


def recipient_violations(draft: DraftInput, situation: SenderSituation) -> Iterator[Violation]:
    """SND-11, SND-24, `recipient-invalid` (ADR-1 to ADR-3, ADR-33), `recipient-court` (LAW-2), doubles (SND-23)."""
    seen: set[Address] = set()
    demail = other = 0
    for pointer, text in _recipients(draft):
        try:
            address = parse_address(text)
        except AddressInvalid as error:
            yield _unreadable(pointer, text, error.reason)
            continue
        if address in seen:
            yield invalid(
                pointer, "Dieser Empfänger steht schon in der Nachricht.", "This recipient is already in the message."
            )
        seen.add(address)
        if _may_be_demail(address, situation):
            demail += 1
            yield from _demail_recipient(pointer, address, situation)
        else:
            other += 1
            yield _not_demail(pointer)
    if demail and other:
        yield _mixed()


def option_violations(draft: DraftInput, situation: SenderSituation) -> Iterator[Violation]:
    """SND-4, SND-10 (options), SND-14, SND-15, SND-16, and an impossible profile (SND-23)."""
    if draft.profile is not None and draft.options is not None:
        yield invalid(
            "/profile",
            "Entweder „profile“ oder „options“, nicht beides (SND-6).",
            "Either profile or options, not both (SND-6).",
        )
    if draft.profile is not None and draft.profile not in situation.profiles:
        yield invalid("/profile", "Dieses Profil gibt es nicht.", "There is no such profile.")
    for rule in option_table.option_violations(
        requested_options(draft, situation), _option_situation(draft, situation)
    ):
        pointer = f"/options/{rule.option}" if draft.profile is None else "/profile"
        yield Violation(rule.code, rule.rule, pointer, rule.de, rule.en)


def quota_violations(draft: DraftInput, situation: SenderSituation) -> Iterator[Violation]:
    """SND-17: the stricter of calendar day and 24 hours holds (SND-61); each copy is a message."""
    if not situation.account_known:
        return
    limits = situation.limits
    if situation.auth_level is not AuthLevel.HIGH:
        limits = smallest_of(limits, GUIDELINE_NORMAL)
    used = situation.quota
    options = expand(requested_options(draft, situation))
    messages = max(used.messages_day, used.messages_24h) + copy_count(draft, split=splits(draft, options))
    recipients = max(used.recipients_day, used.recipients_24h) + len(draft.to) + len(draft.cc) + len(draft.bcc)
    if limits.messages_per_day is not None and messages > limits.messages_per_day:
        yield _quota(f"{limits.messages_per_day} Nachrichten", f"{limits.messages_per_day} messages")
    if limits.recipients_per_day is not None and recipients > limits.recipients_per_day:
        yield _quota(f"{limits.recipients_per_day} Empfänger", f"{limits.recipients_per_day} recipients")


def _sender_address(text: str, situation: SenderSituation) -> Iterator[Violation]:
    sender = _read(text)
    if sender is None:
        yield invalid(
            "/from", "Der Absender ist keine einzelne De-Mail-Adresse.", "The sender is not a single De-Mail address."
        )
    elif is_system_local_part(sender.local, situation.system_local_parts):
        yield Violation(
            "system-address",
            "SND-21",
            "/from",
            "Von System-Adressen darf nur der Anbieter senden (TR 01201-2.1 §2.1.4).",
            "Only the provider may send from system addresses (TR 01201-2.1 §2.1.4).",
        )
    elif str(sender) not in situation.may_use:
        yield Violation(
            "sender-not-authorised",
            "SND-10",
            "/from",
            "Diese Anwendung darf diese Absenderadresse nicht verwenden.",
            "This client may not use this sender address.",
        )
    elif situation.account_state is not AccountState.ACTIVE:
        yield _account_state(
            "/from",
            f"Das De-Mail-Konto darf zurzeit nicht senden (Zustand: {situation.account_state}).",
            f"The De-Mail account may not send at present (state: {situation.account_state}).",
        )


def _reply_to(draft: DraftInput, text: str, situation: SenderSituation) -> Iterator[Violation]:
    if has_controls(text):
        yield invalid(
            "/reply_to", "Unzulässige Steuerzeichen in der Antwortadresse.", "Control characters in the reply address."
        )
        return
    address = _read(text)
    if address is None or not _may_be_demail(address, situation):
        yield Violation(
            "reply-to-not-demail",
            "SND-12",
            "/reply_to",
            "Die Antwortadresse ist keine De-Mail-Adresse (TR 01201-3.1, Schritt 12).",
            "The reply address is not a De-Mail address (TR 01201-3.1, step 12).",
        )
    elif (
        expand(requested_options(draft, situation)).any_confirmation and str(address) not in situation.polled_addresses
    ):
        yield Violation(
            "reply-to-not-polled",
            "SND-13",
            "/reply_to",
            "Bestätigungen gehen an die Antwortadresse; dieses Postfach ruft das Gateway nicht ab.",
            "Confirmations go to the reply address, and the gateway does not fetch that mailbox.",
        )


def _recipients(draft: DraftInput) -> Iterator[tuple[str, str]]:
    for kind, addresses in (("to", draft.to), ("cc", draft.cc), ("bcc", draft.bcc)):
        for index, text in enumerate(addresses):
            yield f"/{kind}/{index}", text


def _demail_recipient(pointer: str, address: Address, situation: SenderSituation) -> Iterator[Violation]:
    if is_system_local_part(address.local, situation.system_local_parts):
        yield Violation(
            "recipient-invalid",
            "ADR-33",
            pointer,
            "An System-Adressen der Anbieter kann nicht gesendet werden.",
            "System addresses of providers cannot be written to.",
        )
    if str(address) in situation.court_addresses:
        yield Violation(
            "recipient-court",
            "LAW-2",
            pointer,
            "Gerichte sind seit dem 23.12.2025 nicht mehr über De-Mail erreichbar; bitte das beBPo verwenden.",
            "Courts can no longer be reached by De-Mail since 23 December 2025; use the beBPo.",
        )


_REASONS = {
    "address-local-too-long": (
        "ADR-2",
        "Der Teil vor dem @ ist länger als 64 Zeichen.",
        "The part before the @ is longer than 64 characters.",
    ),
    "address-domain-too-long": (
        "ADR-2",
        "Die Domäne ist länger als 189 Zeichen.",
        "The domain is longer than 189 characters.",
    ),
    "address-too-long": (
        "ADR-2",
        "Die Adresse ist länger als 253 Zeichen.",
        "The address is longer than 253 characters.",
    ),
    "address-syntax": ("ADR-1", "Das ist keine De-Mail-Adresse.", "This is not a De-Mail address."),
}


def _unreadable(pointer: str, text: str, reason: str) -> Violation:
    if has_controls(text):
        return invalid(pointer, "Unzulässige Steuerzeichen in der Adresse.", "Control characters in the address.")
    rule, de, en = _REASONS[reason]
    meant = suggestion(text)
    if meant is not None:
        de, en = f"{de} Gemeint sein könnte: {meant}", f"{en} Perhaps meant: {meant}"
    return Violation("recipient-invalid", rule if text.isascii() else "ADR-3", pointer, de, en)


def _not_demail(pointer: str) -> Violation:
    return Violation(
        "recipient-not-demail",
        "SND-11",
        pointer,
        "Das ist keine De-Mail-Adresse; De-Mails gehen nie als E-Mail ins Internet.",
        "This is not a De-Mail address; De-Mails never go to the Internet as e-mail.",
    )


def _mixed() -> Violation:
    return Violation(
        "recipient-not-demail",
        "SND-24",
        "",
        "Mischadressierung: De-Mail- und E-Mail-Empfänger in einer Nachricht sind nicht zulässig.",
        "Mixed addressing: De-Mail and e-mail recipients in one message are not allowed.",
    )


def _account_state(pointer: str, de: str, en: str) -> Violation:
    return Violation("account-state", "SND-20", pointer, de, en)


def _quota(de: str, en: str) -> Violation:
    return Violation(
        "quota-exceeded",
        "SND-17",
        "",
        f"Das Tageskontingent von {de} ist erschöpft.",
        f"The daily quota of {en} is used up.",
    )


def _may_be_demail(address: Address, situation: SenderSituation) -> bool:
    """False only where it is certain: without an account and any list of domains nothing is."""
    unknown = not situation.account_known and not situation.trusted.domains
    return unknown or situation.trusted.is_demail(address)


def _option_situation(draft: DraftInput, situation: SenderSituation) -> OptionSituation:
    if not situation.account_known:
        return OptionSituation(AuthLevel.HIGH, pseudonym=False, retrieval_entitlement=True)
    sender = _read(draft.sender)
    permission = None if sender is None else situation.may_use.get(str(sender))
    return OptionSituation(
        auth_level=situation.auth_level,
        pseudonym=situation.natural_person and sender is not None and sender.is_pseudonym_form,
        retrieval_entitlement=situation.retrieval_entitlement,
        permitted=None if permission is None else permission.options,
    )


def _read(text: str) -> Address | None:
    try:
        return parse_address(text)
    except AddressInvalid:
        return None
