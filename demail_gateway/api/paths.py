"""Where the two halves of the interface begin."""

from __future__ import annotations

TENANT = "/v1/tenants/{tenant}"
OPERATOR = "/v1/operator"
