"""The use cases together, as an entry receives them from `bootstrap`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from demail_gateway.application.administer import Administer
from demail_gateway.application.attach import Attach
from demail_gateway.application.authenticate import Access
from demail_gateway.application.certify import Certify
from demail_gateway.application.issue_token import IssueToken
from demail_gateway.application.once import Once
from demail_gateway.application.ports.surroundings import Randomness
from demail_gateway.application.prove import Prove
from demail_gateway.application.read import Read
from demail_gateway.application.register import Register
from demail_gateway.application.settle import Settle
from demail_gateway.application.submit import Submit


@dataclass(frozen=True, slots=True)
class Probe:
    """How one part of the installation is asked whether it works."""

    ask: Callable[[], Awaitable[str]]
    """Returns a short fact for the operator (``ok``, an age); raises DemailError, OSError or TimeoutError."""
    needed: bool
    """Without it the gateway cannot answer (503); else it is degraded only."""
    patience_s: float = 2.0
    """A part that does not answer within this time is away."""


@dataclass(frozen=True, slots=True)
class Services:
    issue_token: IssueToken
    access: Access
    once: Once
    submit: Submit
    attach: Attach
    read: Read
    prove: Prove
    administer: Administer
    register: Register
    certify: Certify
    queues: Settle
    randomness: Randomness
    probes: Mapping[str, Probe]
    """``database``, ``keys`` (needed); ``redis``, ``queue``, ``provider <name>`` (not needed)."""

    async def settle(self) -> None:
        """Lets what runs in the background come to its end, before the process stops."""
        await self.submit.settle()
