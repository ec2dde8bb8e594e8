"""Which permanent SMTP replies judge the draft, and which the connection it came on.

A draft that is refused is `rejected` for good. A reply that speaks of us (not authenticated, out of step, not served
here) is the same for every draft: one wrong certificate must not reject a whole queue, so it is *unavailable*: tried
again, and held for a person in the end (SND-52). As data, because that is what providers differ in.
"""

from __future__ import annotations

import re

OF_US = frozenset({"500", "502", "503", "521", "530", "534", "535", "538"})
"""Reply codes of RFC 5321, RFC 7504 and RFC 4954 that judge no draft, whatever command they answer."""
OF_US_AT_MAIL = ("5.3.", "5.5.", "5.7.")
"""Enhanced status codes (RFC 3463): mail system, protocol, security. At MAIL nothing of the draft is known but its
sender and size; what concerns these is 5.1.x and `OF_THE_DRAFT`. Later the same classes may mean recipient or content.
"""
OF_THE_DRAFT = frozenset({"5.3.4"})
"""Message too big for the system."""

_REPLY = re.compile(r"(5\d\d)(?:[ -]+(5\.\d{1,3}\.\d{1,3})(?!\S))?")


def judges_draft(reply: str, *, at_mail: bool = False) -> bool:
    """Whether a 5xx reply (code and text) refuses this draft; False: it concerns the connection."""
    if (found := _REPLY.match(reply)) is None:
        return False
    code, status = found[1], found[2] or ""
    if code in OF_US:
        return False
    return not (at_mail and status.startswith(OF_US_AT_MAIL) and status not in OF_THE_DRAFT)
