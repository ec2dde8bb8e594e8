"""Sample documents for demonstrations."""

from __future__ import annotations

from collections.abc import Sequence

from demail_gateway.bootstrap.parts import utc_now
from demail_gateway.trust.pdf import simple_pdf


def sample_pdf(title: str, paragraphs: Sequence[str], author: str) -> bytes:
    """A PDF document. Raises ComposeFailed."""
    return simple_pdf(title, paragraphs, utc_now(), author=author)
