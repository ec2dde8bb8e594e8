"""Which algorithms S/MIME may use, and until when: BSI TR-03116-4 (edition of 7 March 2023), chapter 4, as data.

De-Mail is named there as an application it governs (§1.1). What the policy forbids is refused in making; in reading it
is a finding beside a signature that holds or a content that was decrypted. The moment is an argument.

The end of a row marked `REPORTED` comes from TR-02102-1 (edition of 2026), which was not at hand: reports of it say
that classical key agreement is recommended until the end of 2031 and classical signatures until the end of 2035.
TR-03116-4 itself says "2029+" there, which is its horizon and no end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from demail_gateway.core.primitives import HashName, SignatureScheme


class Use(StrEnum):
    """What an algorithm is used for; also the first half of a finding's code."""

    HASH = "hash"
    SIGNATURE = "signature-algorithm"
    CIPHER = "cipher"
    KEY_ENCRYPTION = "key-encryption"
    KEY_WRAP = "key-wrap"
    CURVE = "curve"


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One algorithm as it was used."""

    use: Use
    name: str
    """As in the table below, e.g. ``rsassa-pss``; any other text is an algorithm without a row."""
    bits: int = 0
    """Length of the key, or of a hash's output; 0 for a curve, whose name says it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One algorithm that is not permitted at the moment."""

    code: str
    """``key-size-outdated`` where only the length is too small, else the use with ``-outdated``."""
    mechanism: Mechanism
    source: str
    """Table of the guideline that says so."""


class Basis(StrEnum):
    READ = "read"
    REPORTED = "reported"
    """The date rests on reports about a text that was not at hand."""


@dataclass(frozen=True, slots=True)
class Row:
    """Permitted from `least_bits` on, until the end of `last_year` in German time (None: no end is stated)."""

    use: Use
    name: str
    least_bits: int
    last_year: int | None
    source: str
    basis: Basis = Basis.READ

    def permits(self, mechanism: Mechanism, year: int) -> bool:
        return (
            (self.use, self.name) == (mechanism.use, mechanism.name)
            and mechanism.bits >= self.least_bits
            and (self.last_year is None or year <= self.last_year)
        )


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """A table of what is permitted; what has no row is not."""

    rows: tuple[Row, ...]

    def findings(self, mechanisms: tuple[Mechanism, ...], at: datetime) -> tuple[Finding, ...]:
        """One finding for each mechanism that no row permits at `at`, in order and without repetition; empty: none."""
        return _findings(self, mechanisms, at.astimezone(_GERMAN_WINTER).year)


@lru_cache(maxsize=1024)
def _findings(policy: Policy, mechanisms: tuple[Mechanism, ...], year: int) -> tuple[Finding, ...]:
    against = [each for each in dict.fromkeys(mechanisms) if not any(row.permits(each, year) for row in policy.rows)]
    return tuple(_finding(policy, each, year) for each in against)


def _finding(policy: Policy, mechanism: Mechanism, year: int) -> Finding:
    about = [row for row in policy.rows if (row.use, row.name) == (mechanism.use, mechanism.name)]
    longest = Mechanism(mechanism.use, mechanism.name, max((row.least_bits for row in about), default=0))
    is_short = mechanism.use is not Use.HASH and any(row.permits(longest, year) for row in about)
    code = "key-size-outdated" if is_short else f"{mechanism.use}-outdated"
    return Finding(code, mechanism, about[-1].source if about else f"{_TR} chapter 4: not listed")


def signature_mechanisms(
    scheme: SignatureScheme, hash_name: HashName, key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey
) -> tuple[Mechanism, ...]:
    """What a signature uses: scheme with the key's length, hash, and the curve if there is one."""
    used = (Mechanism(Use.SIGNATURE, scheme, key.key_size), Mechanism(Use.HASH, "sha-2", _HASH_BITS[hash_name]))
    return (*used, Mechanism(Use.CURVE, key.curve.name)) if isinstance(key, ec.EllipticCurvePublicKey) else used


_TR = "TR-03116-4"
_HASH_BITS = {HashName.SHA256: 256, HashName.SHA384: 384, HashName.SHA512: 512}
_GERMAN_WINTER = timezone(timedelta(hours=1))

SMIME = Policy(
    (
        Row(Use.HASH, "sha-2", 224, 2022, f"{_TR} table 18"),
        Row(Use.HASH, "sha-2", 256, None, f"{_TR} table 18"),
        Row(Use.SIGNATURE, "rsassa-pss", 2048, 2022, f"{_TR} table 19"),
        Row(Use.SIGNATURE, "rsassa-pss", 3072, 2035, f"{_TR} table 19", Basis.REPORTED),
        Row(Use.SIGNATURE, "ec-dsa", 224, 2022, f"{_TR} table 19"),
        Row(Use.SIGNATURE, "ec-dsa", 256, 2035, f"{_TR} table 19", Basis.REPORTED),
        # RSASSA-PKCS1-v1_5, a transitional rule; lengths as in table 19
        Row(Use.SIGNATURE, "rsa", 2048, 2022, f"{_TR} table 24"),
        Row(Use.SIGNATURE, "rsa", 3072, 2023, f"{_TR} table 24"),
        Row(Use.CIPHER, "aes-cbc", 128, 2025, f"{_TR} table 20"),
        Row(Use.CIPHER, "aes-gcm", 128, None, f"{_TR} table 20"),
        Row(Use.KEY_ENCRYPTION, "rsaes-oaep", 2048, 2022, f"{_TR} table 21"),
        Row(Use.KEY_ENCRYPTION, "rsaes-oaep", 3072, 2031, f"{_TR} table 21", Basis.REPORTED),
        Row(Use.KEY_ENCRYPTION, "ecdh", 224, 2022, f"{_TR} table 22"),
        Row(Use.KEY_ENCRYPTION, "ecdh", 256, 2031, f"{_TR} table 22", Basis.REPORTED),
        Row(Use.KEY_WRAP, "aes-wrap", 128, None, f"{_TR} table 22"),
        Row(Use.CURVE, "brainpoolP256r1", 0, None, f"{_TR} table 23"),
        Row(Use.CURVE, "brainpoolP384r1", 0, None, f"{_TR} table 23"),
        Row(Use.CURVE, "brainpoolP512r1", 0, None, f"{_TR} table 23"),
        Row(Use.CURVE, "secp256r1", 0, None, f"{_TR} table 23"),
        Row(Use.CURVE, "secp384r1", 0, None, f"{_TR} table 23"),
        Row(Use.CURVE, "secp521r1", 0, None, f"{_TR} table 23"),
    )
)
"""What is made for everybody, and what reading is measured against."""

SMIME_3 = Policy(
    (
        *SMIME.rows,
        Row(Use.SIGNATURE, "rsa", 3072, None, f"{_TR} §4.8; TR 01201 IT-BInfra IO §3"),
        Row(Use.CIPHER, "aes-cbc", 128, None, f"{_TR} §4.8; TR 01201 IT-BInfra IO §3"),
        Row(Use.KEY_ENCRYPTION, "rsaes-pkcs1-v1_5", 3072, None, f"{_TR} §4.8; TR 01201 IT-BInfra IO §3"),
    )
)
"""For a partner whose programs know S/MIME 3.x alone, chosen by name: TR 01201 asks for version 3.1 beside 4.0, and
TR-03116-4 §4.8 suffers the older methods where such partners exist. 3DES is read and never written."""
