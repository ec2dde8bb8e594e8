"""From a certificate to an anchor (RFC 5280 §6.1): signatures first, then pyhanko-certvalidator, and the policy on top.

One mechanism for RSA, NIST and brainpool authorities: `cryptography.x509.verification` refuses the latter. A path takes
about 2 ms and is kept afterwards. Revocation is not asked here: see `revocation`.

Certificates of the other side can bear any names, so that a search by names alone goes round in circles of their
making. Therefore the search only ever passes through authorities that an anchor has signed, directly or through others.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import Any

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.authority import CertTrustAnchor, TrustQualifiers, derive_quals_from_cert
from pyhanko_certvalidator.errors import PathError, ValidationError
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.validate import async_validate_path

from demail_gateway.core.errors import CertificateMalformed
from demail_gateway.trust.certificates import parse_certificate, public_key_of
from demail_gateway.trust.issued import has_permitted_hash, is_issued_by
from demail_gateway.trust.keys import is_permitted

MAX_INTERMEDIATES = 256
"""Ours: more that could be issuers are passed over; a package with proofs of a thousand recipients has a dozen."""
MAX_DEPTH = 8
"""Certificates of a path, both ends included; real ones have three or four."""

_MOST_CANDIDATES = 16
"""Paths to try; several exist where authorities certify each other."""
_MOST_STEPS = 512
_KEPT_PATHS = 1024
_UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError)
"""What asn1crypto raises, late, on structures that are not what they say; such a certificate leads nowhere."""


@dataclass(frozen=True, slots=True)
class _Path:
    chain: tuple[bytes, ...]
    not_before: datetime
    not_after: datetime


class PathFinder:
    """Finds paths to fixed anchors. Safe to share between threads.

    Found paths are kept with the span in which all their certificates are valid; what led nowhere is not kept, so that
    nobody can push the good ones out with certificates of his own making.
    """

    def __init__(self, anchors: Sequence[bytes], intermediates: Sequence[bytes] = ()) -> None:
        """DER certificates; of `intermediates` only authorities count. Raises CertificateMalformed."""
        self.anchors = tuple(dict.fromkeys(anchors))
        for der in self.anchors:
            _parsed(der)
        distinct = dict.fromkeys(intermediates)
        for der in distinct:
            parse_certificate(der)
        self.intermediates = tuple(islice(filter(is_authority, distinct), MAX_INTERMEDIATES))
        self._paths: dict[bytes, _Path] = {}

    def find(self, certificate_der: bytes, at: datetime) -> tuple[bytes, ...]:
        """DER from the certificate to an anchor, all valid at `at` and within the policy; empty if there is none.

        A certificate that is an anchor itself is a path of one.

        Raises:
            CertificateMalformed: the certificate cannot be read.
        """
        if certificate_der in self.anchors:
            return (certificate_der,)
        kept = self._paths.get(certificate_der)
        if kept is None or not kept.not_before <= at <= kept.not_after:
            chain = self._search(certificate_der, at)
            if not chain:
                return ()
            if len(self._paths) >= _KEPT_PATHS:
                self._paths.clear()
            kept = self._paths[certificate_der] = _spanned(chain)
        return kept.chain

    def _search(self, certificate_der: bytes, at: datetime) -> tuple[bytes, ...]:
        parse_certificate(certificate_der)
        for chain in islice(self._candidates(certificate_der), _MOST_CANDIDATES):
            if _within_policy(chain) and _is_valid(chain, at):
                return chain
        return ()

    def _candidates(self, certificate_der: bytes) -> Iterator[tuple[bytes, ...]]:
        """Chains whose signatures hold, the shortest first."""
        waiting: deque[tuple[bytes, ...]] = deque([(certificate_der,)])
        for _ in range(_MOST_STEPS):
            if not waiting:
                return
            chain = waiting.popleft()
            for issuer in _issuers(chain[-1], self._authorities):
                if issuer in self.anchors:
                    yield (*chain, issuer)
                elif issuer not in chain and len(chain) < MAX_DEPTH - 1:
                    waiting.append((*chain, issuer))

    @cached_property
    def _authorities(self) -> dict[x509.Name, list[bytes]]:
        """Anchors and the intermediates that they signed, directly or through others, by subject."""
        unsigned: dict[x509.Name, list[bytes]] = defaultdict(list)
        for der in self.intermediates:
            if der not in self.anchors:
                unsigned[parse_certificate(der).issuer].append(der)
        found: dict[x509.Name, list[bytes]] = defaultdict(list)
        waiting = deque(filter(is_authority, self.anchors))
        seen = set(self.anchors)
        while waiting:
            issuer = waiting.popleft()
            subject = parse_certificate(issuer).subject
            found[subject].append(issuer)
            for der in unsigned.get(subject, ()):
                if der not in seen and is_issued_by(der, issuer):
                    seen.add(der)
                    waiting.append(der)
        return found


def _issuers(certificate_der: bytes, authorities: dict[x509.Name, list[bytes]]) -> Iterable[bytes]:
    name = parse_certificate(certificate_der).issuer
    return (issuer for issuer in authorities.get(name, ()) if is_issued_by(certificate_der, issuer))


def _is_valid(chain: Sequence[bytes], at: datetime) -> bool:
    """RFC 5280 §6.1 for this one path, the anchor's own validity included."""
    anchor = parse_certificate(chain[-1])
    if not anchor.not_valid_before_utc <= at <= anchor.not_valid_after_utc:
        return False
    try:
        leaf, *between, root = (asn1_x509.Certificate.load(der, strict=True) for der in chain)
        trusted = CertTrustAnchor(root, _qualifiers(root))
        context = ValidationContext(
            trust_roots=[trusted], moment=at, allow_fetching=False, revocation_mode="soft-fail", other_certs=between
        )
        _run(async_validate_path(context, ValidationPath(trusted, reversed(between), leaf)))
    except (PathError, ValidationError, *_UNREADABLE):
        return False
    return True


def _qualifiers(root: asn1_x509.Certificate) -> TrustQualifiers:
    """The anchor's own path length and name constraints hold, as with OpenSSL (RFC 5937 §3.2); its policies do not."""
    # the library counts attribute authorities, too, and cannot do so from None
    derived = replace(derive_quals_from_cert(root), max_aa_path_length=MAX_DEPTH)
    if derived.standard_parameters is None:
        return derived
    parameters = replace(
        derived.standard_parameters, user_initial_policy_set=frozenset({"any_policy"}), initial_explicit_policy=False
    )
    return replace(derived, standard_parameters=parameters)


def _run(work: Coroutine[Any, Any, object]) -> None:
    """Runs a coroutine that never waits: it could only wait for the network, and fetching is off.

    So it works inside and outside of an event loop.
    """
    try:
        work.send(None)
    except StopIteration:
        return
    work.close()
    raise ValueError("path validation wanted to wait")


def is_authority(der: bytes) -> bool:
    """Whether a certificate may issue others: by basicConstraints alone (RFC 5280 §6.1.4 k), and if it can be read."""
    try:
        extensions = parse_certificate(der).extensions
    except CertificateMalformed:
        return False
    return any(isinstance(each.value, x509.BasicConstraints) and each.value.ca for each in extensions)


def _parsed(der: bytes) -> asn1_x509.Certificate:
    parse_certificate(der)
    try:
        certificate = asn1_x509.Certificate.load(der, strict=True)
        # Read late otherwise, in the middle of somebody else's path.
        _ = certificate.native, certificate.key_usage_value
    except _UNREADABLE as error:
        raise CertificateMalformed("anchor or intermediate cannot be read") from error
    return certificate


def _spanned(chain: tuple[bytes, ...]) -> _Path:
    parsed = [parse_certificate(der) for der in chain]
    return _Path(
        chain,
        max(certificate.not_valid_before_utc for certificate in parsed),
        min(certificate.not_valid_after_utc for certificate in parsed),
    )


def _within_policy(chain: Sequence[bytes]) -> bool:
    """SHA-2 in every signature but the anchor's own, which nothing rests on; IN-12 and IN-14 for every issuer's key.

    The end certificate's key is judged by the caller (row 12 of `integrity.md` §5), who names it.
    """
    issuers = all(is_permitted(public_key_of(der)) for der in chain[1:])
    return issuers and all(has_permitted_hash(parse_certificate(der)) for der in chain[:-1])
