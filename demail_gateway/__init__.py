"""De-Mail gateway for many tenants (mandantenfähiges De-Mail-Gateway), a client of accredited providers.

Where to find what: ``docs/architecture.md``.
"""

__version__ = "0.1.0"
