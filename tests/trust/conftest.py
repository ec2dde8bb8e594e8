"""One authority and one certified key of every kind per run: making RSA keys is slow, and nothing changes them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from demail_gateway.trust.authority import Profile, TestAuthority
from demail_gateway.trust.keys import KeyKind, PrivateKey, SoftwareSigner, generate_key

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SignerOf = Callable[..., SoftwareSigner]


@pytest.fixture(scope="session")
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def authority() -> TestAuthority:
    return TestAuthority.create("TEST Root", NOW - timedelta(days=100), key_kind="p256")


@pytest.fixture(scope="session")
def key_of() -> Callable[[str], PrivateKey]:
    kept: dict[str, PrivateKey] = {}

    def key(kind: str) -> PrivateKey:
        if kind not in kept:
            kept[kind] = generate_key(KeyKind(kind))
        return kept[kind]

    return key


@pytest.fixture(scope="session")
def signer_of(authority: TestAuthority, key_of: Callable[[str], PrivateKey]) -> SignerOf:
    """`signer_of("p256", Profile.SMIME, pss=False)`: a signer below the authority, valid around NOW."""
    kept: dict[tuple[str, Profile], bytes] = {}

    def signer(kind: str, profile: Profile = Profile.SMIME, *, pss: bool = False) -> SoftwareSigner:
        key = key_of(kind)
        if (kind, profile) not in kept:
            kept[kind, profile] = authority.issue(
                key.public_key(),
                profile,
                f"TEST {kind} {profile}",
                email="poststelle@stadt-elbtal.de-mail.de",
                not_before=NOW - timedelta(days=1),
                not_after=NOW + timedelta(days=365),
            )
        return SoftwareSigner.for_certificate(key, kept[kind, profile], pss=pss)

    return signer
