"""S/MIME of others, layer by layer: signed and encrypted in any order and depth (RFC 8551 §3.7; TR-03116-4 §4.6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from demail_gateway.core.errors import CmsInvalid, DecryptionFailed, MalformedMessage
from demail_gateway.core.header import Octets, read_message
from demail_gateway.core.mime import Part, read_parts
from demail_gateway.trust.cms import (
    CmsSignature,
    EncryptionFacts,
    open_enveloped,
    read_certs_only,
    verify_detached,
    verify_enveloping,
)
from demail_gateway.trust.cms.algorithms import AUTH_ENVELOPED_DATA, ENVELOPED_DATA
from demail_gateway.trust.cms.content_info import content_type_of
from demail_gateway.trust.keys import PrivateKey

MAX_LAYERS = 8
"""Signed, encrypted, signed again (RFC 2634 §1.1) are three; mailing lists and gateways add some."""


class Obstacle(StrEnum):
    """Why a layer stays closed."""

    INVALID = "cms-invalid"
    """It cannot be read, or its signature does not hold."""
    CLOSED = "decryption-failed"
    """Not for any of the keys, or changed on the way."""
    TOO_DEEP = "too-many-layers"
    NO_ENTITY = "message-unparsable"
    """What a layer holds is no MIME entity."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer that was opened: what is said of its signature, or of its encryption; certificates alone have none."""

    signature: CmsSignature | None = None
    encryption: EncryptionFacts | None = None
    certificates: tuple[bytes, ...] = ()
    """Of a layer that holds nothing else (``certs-only``)."""


@dataclass(frozen=True, slots=True)
class Layers:
    """The layers from the outside, and what stands inside the last that was opened."""

    layers: tuple[Layer, ...]
    inside: Octets = field(repr=False)
    """An entity without S/MIME or, where there is an obstacle, the layer that stays closed."""
    obstacle: Obstacle | None = None


def open_layers(entity: Octets, holders: Sequence[tuple[PrivateKey, bytes]]) -> Layers:
    """All layers of an entity or message that the keys of `holders` (with their certificates, DER) open.

    Never raises for what the entity holds. Certificates are not judged, algorithms not held against a policy: that
    is for those who ask, with what the layers say. Of a layer that is signed nothing outside the signed part is read.
    """
    layers: list[Layer] = []
    while True:
        try:
            found = _opened(read_parts(entity.header, entity.body), holders)
        except CmsInvalid:
            return Layers(tuple(layers), entity, Obstacle.INVALID)
        except DecryptionFailed:
            return Layers(tuple(layers), entity, Obstacle.CLOSED)
        if found is None:
            return Layers(tuple(layers), entity)
        if len(layers) == MAX_LAYERS:
            return Layers(tuple(layers), entity, Obstacle.TOO_DEEP)
        layer, inside = found
        layers.append(layer)
        if inside is None:
            return Layers(tuple(layers), entity)
        try:
            entity = read_message(inside)
        except MalformedMessage:
            return Layers(tuple(layers), entity, Obstacle.NO_ENTITY)


_ENVELOPES = ("application/pkcs7-mime", "application/x-pkcs7-mime")
_SIGNATURES = ("application/pkcs7-signature", "application/x-pkcs7-signature")


def _opened(parts: tuple[Part, ...], holders: Sequence[tuple[PrivateKey, bytes]]) -> tuple[Layer, bytes | None] | None:
    """The outermost layer and what it holds; None without S/MIME. Raises CmsInvalid, DecryptionFailed."""
    top = parts[0]
    if top.content_type in _ENVELOPES:
        return _envelope(top.decode(), holders)
    children = [part for part in parts if part.path.isdigit()]
    if top.content_type == "multipart/signed" and len(children) == 2 and children[1].content_type in _SIGNATURES:
        signed = bytes(children[0].entity)
        return Layer(signature=verify_detached(children[1].decode(), signed)), signed
    return None


def _envelope(der: bytes, holders: Sequence[tuple[PrivateKey, bytes]]) -> tuple[Layer, bytes | None]:
    """By what the structure is: ``smime-type`` is a hint that senders leave out."""
    if content_type_of(der) in (ENVELOPED_DATA, AUTH_ENVELOPED_DATA):
        opened = _decrypted(der, holders)
        return Layer(encryption=opened[0]), opened[1]
    try:
        return Layer(certificates=read_certs_only(der)), None
    except CmsInvalid:
        signature, content = verify_enveloping(der)
        return Layer(signature=signature), content


def _decrypted(der: bytes, holders: Sequence[tuple[PrivateKey, bytes]]) -> tuple[EncryptionFacts, bytes]:
    for key, certificate in holders:
        try:
            opened = open_enveloped(der, key, certificate)
        except DecryptionFailed:
            continue
        return opened.facts, opened.content
    raise DecryptionFailed
