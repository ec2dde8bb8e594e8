"""Private PostgreSQL and Valkey for `demo`, `dev`, the benchmarks and the tests; production never starts them."""

from demail_gateway.embedded.databases import Access, provision
from demail_gateway.embedded.errors import EmbeddedError
from demail_gateway.embedded.postgres import Postgres
from demail_gateway.embedded.valkey import Valkey

__all__ = ["Access", "EmbeddedError", "Postgres", "Valkey", "provision"]
