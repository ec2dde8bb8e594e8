"""Paths that must lead nowhere, each for one reason; openssl is the second opinion. And paths made to cost time."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509

from demail_gateway.core.primitives import CertificateVerdict
from demail_gateway.trust.certificates import der_to_pem
from demail_gateway.trust.paths import PathJudge
from tests.harness.programs import program
from tests.trust.odd_certificates import AUTHORITY, DAY, PLAIN, Holder, Odd, certify, holder

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
MAIL, OTHER_MAIL = x509.RFC822Name("meldung@de-mail.example"), x509.RFC822Name("meldung@evil.example")
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
UNTRUSTED = CertificateVerdict(("certificate-untrusted",))
ROOT, SUB, END = holder("TEST Root"), holder("TEST Sub"), holder("TEST End")
ROOT_DER = certify(ROOT, ROOT, NOW, AUTHORITY)


@dataclass(frozen=True)
class Chain:
    root: bytes
    between: Sequence[bytes]
    end: bytes

    def verdict(self, at: datetime = NOW) -> CertificateVerdict:
        return PathJudge([self.root], self.between).judge(self.end, at)


def chain(*, root: Odd = AUTHORITY, sub: Odd = AUTHORITY, end: Odd = PLAIN) -> Chain:
    return Chain(certify(ROOT, ROOT, NOW, root), [certify(SUB, ROOT, NOW, sub)], certify(END, SUB, NOW, end))


def _constraints(*, permitted: x509.GeneralName | None = None, excluded: x509.GeneralName | None = None) -> Odd:
    constraints = x509.NameConstraints(
        None if permitted is None else [permitted], None if excluded is None else [excluded]
    )
    return Odd(ca=True, extensions=((constraints, True),))


HOST = x509.RFC822Name("de-mail.example")
GOOD = {
    "plain": chain(),
    "permitted name": chain(sub=_constraints(permitted=HOST), end=Odd(names=(MAIL,))),
    "other name than the excluded": chain(sub=_constraints(excluded=HOST), end=Odd(names=(OTHER_MAIL,))),
    "long enough path": chain(root=Odd(ca=True, path_length=1), sub=Odd(ca=True, path_length=0)),
    "unfamiliar extension": chain(end=Odd(extensions=((UNKNOWN, False),))),
}
BAD = {
    "name outside the permitted": chain(sub=_constraints(permitted=HOST), end=Odd(names=(OTHER_MAIL,))),
    "excluded name": chain(sub=_constraints(excluded=HOST), end=Odd(names=(MAIL,))),
    "name outside the anchor's permitted": chain(root=_constraints(permitted=HOST), end=Odd(names=(OTHER_MAIL,))),
    "one name of two": chain(sub=_constraints(permitted=HOST), end=Odd(names=(MAIL, OTHER_MAIL))),
    "critical extension at the end": chain(end=Odd(extensions=((UNKNOWN, True),))),
    "critical extension between": chain(sub=Odd(ca=True, extensions=((UNKNOWN, True),))),
    "anchor's path too long": chain(root=Odd(ca=True, path_length=0)),
    "issuer is no authority": chain(sub=Odd(ca=False)),
    "issuer without basicConstraints": chain(sub=Odd(ca=None)),
    "issuer may not sign certificates": chain(sub=Odd(ca=True, cert_sign=False)),
    "issuer has expired": chain(sub=Odd(ca=True, end=-DAY)),
    "issuer is not valid yet": chain(sub=Odd(ca=True, start=DAY)),
    "anchor has expired": chain(root=Odd(ca=True, end=-DAY)),
    "issuer is missing": Chain(ROOT_DER, [], certify(END, SUB, NOW)),
    "issuer fits by name alone": Chain(
        ROOT_DER, [certify(SUB, ROOT, NOW, AUTHORITY)], certify(END, Holder(SUB.name, END.key), NOW)
    ),
    "anchor fits by name alone": Chain(
        certify(ROOT, ROOT, NOW, AUTHORITY), [], certify(END, Holder(ROOT.name, END.key), NOW)
    ),
    "vouches for itself": Chain(ROOT_DER, [], certify(END, END, NOW)),
    "vouches for itself as authority": Chain(ROOT_DER, [], certify(END, END, NOW, AUTHORITY)),
}


def _openssl(tmp_path: Path, tried: Chain, at: datetime) -> bool:
    (tmp_path / "root.pem").write_bytes(der_to_pem(tried.root))
    (tmp_path / "between.pem").write_bytes(b"".join(map(der_to_pem, tried.between)))
    (tmp_path / "end.pem").write_bytes(der_to_pem(tried.end))
    command = [program("openssl"), "verify", "-attime", str(int(at.timestamp())), "-CAfile", "root.pem"]
    command += ["-untrusted", "between.pem"] if tried.between else []
    done = subprocess.run([*command, "end.pem"], cwd=tmp_path, capture_output=True, text=True, timeout=30)
    return done.returncode == 0


@pytest.mark.clause("TR 01201-3.1 step 48 FC-02", "IN-22")
@pytest.mark.parametrize("name", GOOD)
def test_good_paths_hold(tmp_path: Path, name: str) -> None:
    verdict = GOOD[name].verdict()
    assert (verdict.findings, len(verdict.chain)) == ((), 3)
    assert _openssl(tmp_path, GOOD[name], NOW)


@pytest.mark.clause("TR 01201-3.1 step 48 FC-02", "IN-22")
@pytest.mark.parametrize("name", BAD)
def test_bad_paths_lead_nowhere(tmp_path: Path, name: str) -> None:
    verdict = BAD[name].verdict()
    assert "certificate-untrusted" in verdict.findings
    assert verdict.chain == ()
    assert not _openssl(tmp_path, BAD[name], NOW)


def test_path_of_too_many_authorities_leads_nowhere() -> None:
    """Openssl follows a hundred; real paths have three or four certificates."""
    holders = [ROOT, *(holder(f"TEST {number}") for number in range(8)), END]
    links = list(zip(holders[1:], holders, strict=False))
    between = [certify(below, above, NOW, AUTHORITY) for below, above in links[:-1]]
    assert PathJudge([ROOT_DER], between[:6]).judge(certify(END, holders[6], NOW), NOW).findings == ()
    assert PathJudge([ROOT_DER], between).judge(certify(END, holders[-2], NOW), NOW) == UNTRUSTED


def test_an_end_certificate_as_anchor_vouches_for_itself_alone() -> None:
    """Who pins a provider's certificate must not let the provider issue others."""
    pinned = certify(SUB, ROOT, NOW)
    judge = PathJudge([pinned])
    assert judge.judge(pinned, NOW).findings == ()
    assert judge.judge(certify(END, SUB, NOW), NOW) == UNTRUSTED


def test_authorities_that_certify_each_other_are_no_obstacle(tmp_path: Path) -> None:
    other = holder("TEST Other root")
    crossed = [certify(SUB, other, NOW, AUTHORITY), certify(other, SUB, NOW, AUTHORITY)]
    tried = Chain(ROOT_DER, [*crossed, certify(SUB, ROOT, NOW, AUTHORITY)], certify(END, SUB, NOW))
    assert len(tried.verdict().chain) == 3
    assert _openssl(tmp_path, tried, NOW)
    assert PathJudge([ROOT_DER], crossed).judge(tried.end, NOW) == UNTRUSTED


def test_the_shortest_good_path_is_taken_past_an_expired_one() -> None:
    """A renewed authority: the same name and key, one certificate that has ended and one that has not."""
    ended = certify(SUB, ROOT, NOW, Odd(ca=True, end=-DAY))
    renewed = certify(SUB, ROOT, NOW, AUTHORITY)
    for between in ([ended, renewed], [renewed, ended]):
        assert PathJudge([ROOT_DER], between).judge(certify(END, SUB, NOW), NOW).chain[1] == renewed


def test_names_that_are_no_addresses_are_judged_too() -> None:
    host = x509.IPAddress(IPv4Address("127.0.0.1"))
    assert chain(sub=_constraints(permitted=HOST), end=Odd(names=(host,))).verdict().findings == ()
    only_ip = x509.DNSName("de-mail.example")
    assert chain(sub=_constraints(permitted=only_ip), end=Odd(names=(x509.DNSName("evil.example"),))).verdict() == (
        UNTRUSTED
    )


# --- made to cost time ------------------------------------------------------------------------------------------------


def _seconds(judge: PathJudge, certificate: bytes, expected: CertificateVerdict | None = UNTRUSTED) -> float:
    """CPU seconds of one judgement."""
    begin = time.process_time()
    verdict = judge.judge(certificate, NOW)
    spent = time.process_time() - begin
    assert expected is None or verdict == expected
    return spent


@pytest.mark.parametrize("name", ["TEST Root", "TEST Sub"])
def test_a_maze_of_certificates_costs_no_more_than_looking_at_each(name: str) -> None:
    """256 authorities of one name and key that all certify each other: more paths than one can ever walk."""
    twin = Holder(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]), END.key)
    maze = [certify(twin, twin, NOW, AUTHORITY, serial=number) for number in range(1, 257)]
    assert _seconds(PathJudge([ROOT_DER]).with_intermediates(maze), certify(END, twin, NOW)) < 1


def test_a_maze_that_the_anchor_has_signed_is_left_after_some_steps() -> None:
    """Twelve authorities of a trust centre that all certify each other, and none of them the end certificate's key."""
    holders = [holder(f"TEST {number}") for number in range(12)]
    maze = [certify(one, other, NOW, AUTHORITY) for one in holders for other in holders if one is not other]
    maze += [certify(each, ROOT, NOW, Odd(ca=True, path_length=0)) for each in holders]
    lost = certify(END, Holder(holders[0].name, END.key), NOW)
    assert _seconds(PathJudge([ROOT_DER], maze), lost) < 2
    assert _seconds(PathJudge([ROOT_DER], maze), certify(END, holders[0], NOW), None) < 4


def test_ten_thousand_certificates_beside_one_are_passed_over() -> None:
    """As a package may bring them: authorities of unknown origin, end certificates, and what is neither."""
    stranger = holder("TEST Stranger")
    made = [certify(holder_of(n), stranger, NOW, AUTHORITY if n % 2 else PLAIN) for n in range(1000)]
    many = [der + bytes((n,)) for n in range(9) for der in made]  # octets behind: unreadable
    judge = PathJudge([ROOT_DER], [certify(SUB, ROOT, NOW, AUTHORITY)])
    begin = time.process_time()
    more = judge.with_intermediates([*made, *many])
    assert time.process_time() - begin < 2
    assert _seconds(more, certify(END, SUB, NOW), None) < 1
    assert more.judge(certify(END, SUB, NOW), NOW).findings == ()


def holder_of(number: int) -> Holder:
    return Holder(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"TEST {number}")]), END.key)
