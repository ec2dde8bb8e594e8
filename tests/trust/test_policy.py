from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from demail_gateway.core.errors import ComposeFailed
from demail_gateway.core.primitives import HashName, SignatureScheme
from demail_gateway.trust.authority import Profile, TestAuthority
from demail_gateway.trust.cms import (
    RsaTransport,
    encrypt,
    open_enveloped,
    sign_detached,
    sign_enveloping,
    verify_detached,
)
from demail_gateway.trust.keys import SoftwareSigner
from demail_gateway.trust.policy import SMIME, SMIME_3, Basis, Mechanism, Use, signature_mechanisms

SignerOf = Callable[..., SoftwareSigner]

MECHANISMS = st.builds(
    Mechanism,
    st.sampled_from(list(Use)),
    st.sampled_from(sorted({row.name for row in SMIME_3.rows} | {"3des", "sha-1", "secp224r1"})),
    st.integers(0, 4096),
)
MOMENTS = st.datetimes(datetime(2019, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def _at(year: int, month: int = 6) -> datetime:
    return datetime(year, month, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("mechanism", "last_year", "code"),
    [
        # TR-03116-4 (2023) tables 18 to 24
        (Mechanism(Use.HASH, "sha-2", 224), 2022, "hash-outdated"),
        (Mechanism(Use.SIGNATURE, "rsassa-pss", 2048), 2022, "key-size-outdated"),
        (Mechanism(Use.SIGNATURE, "rsassa-pss", 3071), 2022, "key-size-outdated"),
        (Mechanism(Use.SIGNATURE, "ec-dsa", 224), 2022, "key-size-outdated"),
        (Mechanism(Use.SIGNATURE, "rsa", 2048), 2022, "key-size-outdated"),
        (Mechanism(Use.SIGNATURE, "rsa", 4096), 2023, "signature-algorithm-outdated"),
        (Mechanism(Use.CIPHER, "aes-cbc", 256), 2025, "cipher-outdated"),
        (Mechanism(Use.KEY_ENCRYPTION, "rsaes-oaep", 2048), 2022, "key-size-outdated"),
        (Mechanism(Use.KEY_ENCRYPTION, "ecdh", 224), 2022, "key-size-outdated"),
        # TR-02102-1 (2026) as reported
        (Mechanism(Use.SIGNATURE, "rsassa-pss", 3072), 2035, "signature-algorithm-outdated"),
        (Mechanism(Use.SIGNATURE, "ec-dsa", 256), 2035, "signature-algorithm-outdated"),
        (Mechanism(Use.KEY_ENCRYPTION, "rsaes-oaep", 3072), 2031, "key-encryption-outdated"),
        (Mechanism(Use.KEY_ENCRYPTION, "ecdh", 256), 2031, "key-encryption-outdated"),
    ],
)
def test_each_row_ends_with_its_year_in_german_time(mechanism: Mechanism, last_year: int, code: str) -> None:
    end = datetime(last_year, 12, 31, 23, 0, tzinfo=UTC)  # midnight in Berlin
    assert SMIME.findings((mechanism,), end - timedelta(seconds=1)) == ()
    (finding,) = SMIME.findings((mechanism,), end)
    assert (finding.code, finding.mechanism) == (code, mechanism)


@pytest.mark.parametrize(
    "mechanism",
    [
        Mechanism(Use.HASH, "sha-2", 256),
        Mechanism(Use.HASH, "sha-2", 384),
        Mechanism(Use.CIPHER, "aes-gcm", 128),
        Mechanism(Use.KEY_WRAP, "aes-wrap", 256),
        Mechanism(Use.CURVE, "brainpoolP256r1"),
        Mechanism(Use.CURVE, "secp521r1"),
    ],
)
def test_rows_without_a_stated_end_permit(mechanism: Mechanism) -> None:
    assert SMIME.findings((mechanism,), _at(2100)) == ()


@pytest.mark.parametrize(
    ("mechanism", "code"),
    [
        (Mechanism(Use.HASH, "sha-1", 160), "hash-outdated"),
        (Mechanism(Use.CIPHER, "3des", 192), "cipher-outdated"),
        (Mechanism(Use.CURVE, "secp256k1"), "curve-outdated"),
        (Mechanism(Use.KEY_ENCRYPTION, "rsaes-pkcs1-v1_5", 4096), "key-encryption-outdated"),
    ],
)
def test_what_has_no_row_is_never_permitted(mechanism: Mechanism, code: str) -> None:
    (finding,) = SMIME.findings((mechanism,), _at(2020))
    assert (finding.code, finding.source) == (code, "TR-03116-4 chapter 4: not listed")


@given(st.lists(MECHANISMS, max_size=6).map(tuple), MOMENTS, MOMENTS)
def test_time_never_makes_anything_permitted(used: tuple[Mechanism, ...], one: datetime, other: datetime) -> None:
    early, late = sorted((one, other))
    against = [{finding.mechanism for finding in SMIME.findings(used, at)} for at in (early, late)]
    assert against[0] <= against[1]


@given(MECHANISMS, st.integers(0, 1000), MOMENTS)
def test_a_longer_key_never_adds_a_finding(mechanism: Mechanism, more: int, at: datetime) -> None:
    longer = Mechanism(mechanism.use, mechanism.name, mechanism.bits + more)
    assert not SMIME.findings((longer,), at) or SMIME.findings((mechanism,), at)


@given(st.lists(MECHANISMS, max_size=6).map(tuple), MOMENTS)
def test_the_wider_policy_permits_what_the_narrower_does(used: tuple[Mechanism, ...], at: datetime) -> None:
    assert {f.mechanism for f in SMIME_3.findings(used, at)} <= {f.mechanism for f in SMIME.findings(used, at)}


@given(st.lists(MECHANISMS, max_size=6), MOMENTS)
def test_order_and_repetition_change_no_finding(used: list[Mechanism], at: datetime) -> None:
    assert set(SMIME.findings((*used, *reversed(used)), at)) == set(SMIME.findings(tuple(used), at))


def test_dates_that_rest_on_reports_are_marked() -> None:
    assert {row.last_year for row in SMIME.rows if row.basis is Basis.REPORTED} == {2031, 2035}


def test_signature_names_scheme_hash_and_curve(signer_of: SignerOf) -> None:
    key = signer_of("brainpool-p384").key.public_key()
    assert signature_mechanisms(SignatureScheme.EC_DSA, HashName.SHA384, key) == (
        Mechanism(Use.SIGNATURE, "ec-dsa", 384),
        Mechanism(Use.HASH, "sha-2", 384),
        Mechanism(Use.CURVE, "brainpoolP384r1"),
    )


def test_forbidden_signature_is_not_made(signer_of: SignerOf) -> None:
    for sign in (sign_detached, sign_enveloping):
        with pytest.raises(ComposeFailed, match="signature-algorithm-outdated"):
            sign(b"x", signer_of("rsa-3072"), at=_at(2026))
        assert sign(b"x", signer_of("rsa-3072"), at=_at(2023))
        assert sign(b"x", signer_of("rsa-3072"), at=_at(2026), policy=SMIME_3)


def test_short_key_neither_signs_nor_is_encrypted_for(authority: TestAuthority, now: datetime) -> None:
    """RSA of 2048 bit: readable (IN-14), not for new S/MIME."""
    key = rsa.generate_private_key(65537, 2048)
    certificate = authority.issue(
        key.public_key(), Profile.SMIME, "x", not_before=now, not_after=now + timedelta(days=1)
    )
    for policy in (SMIME, SMIME_3):
        with pytest.raises(ComposeFailed, match="key-size-outdated"):
            sign_detached(b"x", SoftwareSigner(key, certificate, pss=True), at=now, policy=policy)
        with pytest.raises(ComposeFailed, match="key-size-outdated"):
            encrypt(b"x", [certificate], at=now, policy=policy)
    assert encrypt(b"x", [certificate], at=_at(2022))


def test_forbidden_encryption_is_not_made(signer_of: SignerOf) -> None:
    one = signer_of("rsa-3072").certificate_der
    with pytest.raises(ComposeFailed, match="cipher-outdated"):
        encrypt(b"x", [one], "aes-256-cbc", at=_at(2026))
    with pytest.raises(ComposeFailed, match="key-encryption-outdated"):
        encrypt(b"x", [one], rsa_transport="pkcs1", at=_at(2020))
    with pytest.raises(ComposeFailed, match="key-encryption-outdated"):
        encrypt(b"x", [one], at=_at(2032))
    assert encrypt(b"x", [one], "aes-256-cbc", at=_at(2025))
    assert encrypt(b"x", [one], "aes-256-cbc", rsa_transport="pkcs1", at=_at(2026), policy=SMIME_3)


def test_what_was_read_tells_what_it_used(signer_of: SignerOf, now: datetime) -> None:
    signed = sign_detached(b"x", signer_of("rsa-3072"), at=now, policy=SMIME_3)
    (signer,) = verify_detached(signed, b"x").signers
    assert [f.code for f in SMIME.findings(signer.mechanisms, now)] == ["signature-algorithm-outdated"]
    assert SMIME.findings(signer.mechanisms, _at(2023)) == ()

    holder = signer_of("rsa-3072")
    sealed = encrypt(
        b"x", [holder.certificate_der], "aes-256-cbc", at=now, rsa_transport=RsaTransport.PKCS1, policy=SMIME_3
    )
    facts = open_enveloped(sealed, holder.key, holder.certificate_der).facts
    assert not facts.is_authenticated
    assert [f.code for f in SMIME.findings(facts.mechanisms, now)] == ["cipher-outdated", "key-encryption-outdated"]

    holder = signer_of("brainpool-p256")
    facts = open_enveloped(encrypt(b"x", [holder.certificate_der], at=now), holder.key, holder.certificate_der).facts
    assert facts.is_authenticated
    assert SMIME.findings(facts.mechanisms, now) == ()
    assert {each.use for each in facts.mechanisms} == set(Use) - {Use.SIGNATURE}
