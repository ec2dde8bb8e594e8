"""Revocation (RFC 5280 §6.3, RFC 6960): lists and OCSP answers, read once, asked for the status at a stated moment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from demail_gateway.core.primitives import CertificateStatus
from demail_gateway.trust.certificates import parse_certificate
from demail_gateway.trust.crls import RevocationList, read_list
from demail_gateway.trust.ocsp import OcspAnswer, is_ocsp, may_be_trusted_unchecked, read_answer
from demail_gateway.trust.revoked import HOLD, Revocation

MAX_AGE = timedelta(hours=24)
"""DIR-35: how long an answer may be used without asking its source anew, however long it calls itself current."""
_LATEST = datetime.max.replace(tzinfo=UTC) - MAX_AGE


@dataclass(frozen=True, slots=True)
class StatusAnswer:
    """Status of one certificate and the lists and OCSP answers (DER) that it rests on."""

    status: CertificateStatus
    evidence: tuple[bytes, ...] = ()
    revocation: Revocation | None = None
    """Since when and why, if revoked."""


@dataclass(frozen=True, slots=True)
class _Said:
    """What one list or OCSP answer says about the certificate in question."""

    this_update: datetime
    fresh_until: datetime
    is_complete: bool
    """Whether its silence acquits: a list of some reasons only can accuse and not acquit."""
    revocation: Revocation | None
    evidence: tuple[bytes, ...]
    is_list: bool


class RevocationIndex:
    """Lists and OCSP answers, to be asked. What cannot be read, or is of a kind not understood, gives no answer.

    A list counts only if the certificate's issuer signed it itself (no indirect lists), an OCSP answer only from the
    issuer or a responder that the issuer named (RFC 6960 §4.2.2.2); both with SHA-2.
    """

    def __init__(self, answers: Sequence[bytes] = (), fetched_at: Mapping[bytes, datetime] | None = None) -> None:
        """DER lists and OCSP responses, in any order; each distinct one is read once.

        `fetched_at`: when an answer was last had from its source; it is current for MAX_AGE from then at most (DIR-35).
        Answers without an entry, as from a file or a package, are current as long as they say themselves.
        """
        self.answers = tuple(dict.fromkeys(answers))
        self._fetched_at = fetched_at or {}
        self._lists: list[RevocationList] = []
        self._ocsp: dict[int, list[OcspAnswer]] = defaultdict(list)
        for der in self.answers:
            if is_ocsp(der):
                if (answer := read_answer(der)) is not None:
                    self._ocsp[answer.serial_number].append(answer)
            elif (found := read_list(der)) is not None:
                self._lists.append(found)

    def status(self, certificate_der: bytes, issuer_der: bytes, at: datetime) -> StatusAnswer:
        """The certificate's status at `at`.

        Revoked: any list or OCSP answer, also a stale or a later one, names it with a date up to `at`. The one way back
        is ``certificateHold``: an older one that said so gives way to a newer one up to `at`. Good, if none does: the
        newest list, or the newest OCSP answer, up to `at` is still fresh then; or one was issued after `at`, while the
        certificate was not yet expired (of expired ones lists and responders may say nothing any more, RFC 5280 §3.3,
        RFC 6960 §4.4.4). Else unknown.

        Raises:
            CertificateMalformed
        """
        said = [*self._by_lists(certificate_der, issuer_der), *self._by_ocsp(certificate_der, issuer_der)]
        return _decide(said, at, parse_certificate(certificate_der).not_valid_after_utc)

    def _by_lists(self, certificate_der: bytes, issuer_der: bytes) -> Iterable[_Said]:
        certificate = parse_certificate(certificate_der)
        for found in self._lists:
            if found.covers(certificate, issuer_der):
                yield _Said(
                    this_update=found.this_update,
                    fresh_until=self._fresh_until(found.der, found.next_update or found.this_update),
                    is_complete=found.is_complete,
                    revocation=found.revocation(certificate.serial_number),
                    evidence=(found.der,),
                    is_list=True,
                )

    def _by_ocsp(self, certificate_der: bytes, issuer_der: bytes) -> Iterable[_Said]:
        for answer in self._ocsp.get(parse_certificate(certificate_der).serial_number, ()):
            responder = answer.responder_of(certificate_der, issuer_der)
            if responder is None or answer.is_unknown:
                continue
            vouching = self._vouching(responder, issuer_der, answer.produced_at)
            if vouching is None:
                continue
            # without nextUpdate newer knowledge is always to be had (RFC 6960 §4.2.2.1): a day, as with DIR-35
            fresh_until = answer.next_update or min(answer.this_update, _LATEST) + MAX_AGE
            yield _Said(
                this_update=answer.this_update,
                fresh_until=self._fresh_until(answer.der, fresh_until),
                is_complete=True,
                revocation=answer.revocation,
                evidence=(answer.der, *vouching),
                is_list=False,
            )

    def _vouching(self, responder: bytes, issuer_der: bytes, at: datetime) -> tuple[bytes, ...] | None:
        """The lists that speak for a responder at the moment of its answer; None: it must not be believed.

        The issuer speaks for itself. A responder of its own needs no list where the issuer marked it so
        (id-pkix-ocsp-nocheck, RFC 6960 §4.2.2.2.1); a list that accuses it counts all the same.
        """
        if responder == issuer_der:
            return ()
        by_lists = _decide(self._by_lists(responder, issuer_der), at, parse_certificate(responder).not_valid_after_utc)
        if by_lists.status is CertificateStatus.GOOD:
            return by_lists.evidence
        unchecked = by_lists.status is CertificateStatus.UNKNOWN and may_be_trusted_unchecked(responder)
        return () if unchecked else None

    def _fresh_until(self, der: bytes, own: datetime) -> datetime:
        fetched_at = self._fetched_at.get(der)
        return own if fetched_at is None else min(own, fetched_at + MAX_AGE)


def answers_about(certificates: Sequence[bytes], answers: Sequence[bytes]) -> tuple[bytes, ...]:
    """Those that may speak of these certificates: lists of their issuers, OCSP answers to their numbers.

    By names and numbers alone; whether they hold is found where they are used. Raises CertificateMalformed.
    """
    parsed = [parse_certificate(der) for der in certificates]
    issuers = {certificate.issuer for certificate in parsed}
    numbers = {certificate.serial_number for certificate in parsed}

    def concerns(der: bytes) -> bool:
        if is_ocsp(der):
            return (answer := read_answer(der)) is not None and answer.serial_number in numbers
        return (found := read_list(der)) is not None and found.issuer in issuers

    return tuple(filter(concerns, answers))


def _decide(found: Iterable[_Said], at: datetime, expiry: datetime) -> StatusAnswer:
    said = sorted(found, key=lambda each: each.this_update)
    earlier = [each for each in said if each.this_update <= at]
    for each in said:
        if each.revocation is not None and each.revocation.at <= at and not _is_lifted(each, earlier):
            return StatusAnswer(CertificateStatus.REVOKED, each.evidence, each.revocation)
    complete = [each for each in earlier if each.is_complete]  # others accuse, and neither acquit nor hide
    newest = [of_kind[-1] for is_list in (False, True) if (of_kind := [e for e in complete if e.is_list is is_list])]
    for each in newest:
        if at <= each.fresh_until:
            return StatusAnswer(CertificateStatus.GOOD, each.evidence)
    later = [each for each in said if at < each.this_update <= expiry and each.is_complete]
    if later:
        return StatusAnswer(CertificateStatus.GOOD, later[-1].evidence)
    return StatusAnswer(CertificateStatus.UNKNOWN)


def _is_lifted(each: _Said, earlier: Sequence[_Said]) -> bool:
    """A hold that something newer, up to the moment, does not repeat any more."""
    if each.revocation is None or each.revocation.reason != HOLD or each not in earlier:
        return False
    return any(newer.is_complete for newer in earlier[earlier.index(each) + 1 :])
