"""Commands (`demail-gateway …`)."""

from demail_gateway.cli.program import main

__all__ = ["main"]
