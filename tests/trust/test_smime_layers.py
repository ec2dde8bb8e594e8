from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demail_gateway.core.entity import build_entity, enveloped, multipart_signed
from demail_gateway.core.header import read_message
from demail_gateway.trust.cms import certs_only, encrypt, sign_detached, sign_enveloping
from demail_gateway.trust.keys import SoftwareSigner
from demail_gateway.trust.smime_layers import MAX_LAYERS, Layers, Obstacle, open_layers

SignerOf = Callable[..., SoftwareSigner]

ENTITY = build_entity("Geheim", None, (), "b0")
KINDS = ("signed", "opaque", "encrypted")


def _wrapped(entity: bytes, kind: str, own: SoftwareSigner, now: datetime, number: int) -> bytes:
    if kind == "signed":
        return multipart_signed(entity, sign_detached(entity, own, at=now), "sha-256", f"s{number}")
    if kind == "opaque":
        return enveloped(sign_enveloping(entity, own, at=now), "signed-data")
    return enveloped(encrypt(entity, [own.certificate_der], at=now), "authEnveloped-data")


def _opened(octets: bytes, *holders: SoftwareSigner) -> Layers:
    return open_layers(read_message(octets), [(each.key, each.certificate_der) for each in holders])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds=st.lists(st.sampled_from(KINDS), max_size=MAX_LAYERS))
def test_any_order_and_depth_is_opened(signer_of: SignerOf, now: datetime, kinds: list[str]) -> None:
    own, octets = signer_of("p256"), ENTITY
    for number, kind in enumerate(kinds):
        octets = _wrapped(octets, kind, own, now, number)
    found = _opened(octets, signer_of("rsa-3072", pss=True), own)
    assert (found.inside.data, found.obstacle) == (ENTITY, None)
    assert [layer.encryption is None for layer in found.layers] == [kind != "encrypted" for kind in reversed(kinds)]
    for layer in found.layers:
        assert layer.signature is None or layer.signature.signers[0].certificate_der == own.certificate_der


def test_deeper_layers_stay_closed(signer_of: SignerOf, now: datetime) -> None:
    octets = ENTITY
    for number in range(MAX_LAYERS + 1):
        octets = _wrapped(octets, "signed", signer_of("p256"), now, number)
    found = _opened(octets)
    assert (len(found.layers), found.obstacle) == (MAX_LAYERS, Obstacle.TOO_DEEP)


def test_what_is_for_somebody_else_stays_closed(signer_of: SignerOf, now: datetime) -> None:
    own = signer_of("p256")
    sealed = _wrapped(ENTITY, "encrypted", own, now, 0)
    octets = _wrapped(sealed, "signed", own, now, 1)
    for holders in ((), (signer_of("rsa-3072"),)):
        found = _opened(octets, *holders)
        assert (len(found.layers), found.inside.data, found.obstacle) == (1, sealed, Obstacle.CLOSED)


def test_signature_that_does_not_hold_opens_nothing(signer_of: SignerOf, now: datetime) -> None:
    octets = _wrapped(ENTITY, "signed", signer_of("p256"), now, 0).replace(b"Geheim", b"Gehe1m")
    found = _opened(octets)
    assert (found.layers, found.inside.data, found.obstacle) == ((), octets, Obstacle.INVALID)


def test_content_that_is_no_entity_is_said(signer_of: SignerOf, now: datetime) -> None:
    found = _opened(enveloped(sign_enveloping(b"no entity", signer_of("p256"), at=now), "signed-data"))
    assert (len(found.layers), found.obstacle) == (1, Obstacle.NO_ENTITY)


def test_certificates_alone_are_a_layer_without_inside(signer_of: SignerOf) -> None:
    own = signer_of("p256").certificate_der
    octets = enveloped(certs_only([own]), "certs-only")
    found = _opened(octets)
    assert [layer.certificates for layer in found.layers] == [(own,)]
    assert (found.inside.data, found.obstacle) == (octets, None)


@pytest.mark.parametrize("octets", [b"", b"\x30\x80", bytes(range(256))])
def test_hostile_octets_are_an_obstacle(octets: bytes) -> None:
    for smime_type in ("signed-data", "enveloped-data", "x"):
        assert _opened(enveloped(octets, smime_type)).obstacle is Obstacle.INVALID


def test_entity_without_smime_has_no_layers() -> None:
    assert _opened(ENTITY) == Layers((), read_message(ENTITY))
