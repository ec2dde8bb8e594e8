"""The interfaces the application needs; `storage`, `providers` and `trust` meet them.

Coarse on purpose: what must be atomic is one call, because round trips to PostgreSQL are the cost, and a coarse
call can become one statement without touching the application. Every call that takes a `TenantScope` sees that
tenant alone. Content crosses this seam in clear; storage encrypts and decrypts it (per message key, per tenant key).

A module per group of ports, each with the values that pass through it.
"""
