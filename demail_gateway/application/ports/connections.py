"""Technical access to providers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from demail_gateway.core.vocabulary import AuthLevel


@dataclass(frozen=True, slots=True)
class Connection:
    """Technical access to one provider (GWT-10). Differences between providers are data (`profile`)."""

    id: UUID
    name: str
    auth_level: AuthLevel
    profile: Mapping[str, Any]
    """Validated by `providers.profile`: host, port, server name, TLS, domains, look-up, directory, crl urls, peers …"""
    active: bool
    created_at: datetime


CheckProfile = Callable[[Mapping[str, Any]], None]
"""Raises RuleViolation when a connection profile cannot be used (`providers.profile`), and
Conflict('connection-not-for-tests') for that of a live provider in a test installation (GWT-25)."""
