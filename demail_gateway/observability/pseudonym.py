"""Names for addresses in technical logs: the same address has the same name, and nobody reads it back (GWT-51)."""

from __future__ import annotations

import hashlib
import hmac


def pseudonym(address: str, key: bytes) -> str:
    """``a-`` and 12 hex digits, keyed with the installation's log key; case does not count (ADR-1).

    Equal for equal addresses under one key; without the key it cannot be tried out from a list of addresses.
    """
    digest = hmac.new(key, address.strip().lower().encode("utf-8", "surrogatepass"), hashlib.sha256)
    return f"a-{digest.hexdigest()[:12]}"
