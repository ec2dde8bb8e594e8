"""Typed values out of JSON that an operator wrote, with all faults at once."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from demail_gateway.core.errors import RuleViolation, Violation

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?", re.ASCII)
_FINGERPRINT = re.compile(r"(?i:sha256:)?((?:[0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2})", re.ASCII)


class Reader:
    """Reads one JSON object; a faulty value is noted and replaced by a stand-in, so that reading goes on."""

    def __init__(
        self, raw: Mapping[str, Any], pointer: str = "/profile", faults: list[Violation] | None = None
    ) -> None:
        self._raw = raw
        self._pointer = pointer
        self._faults: list[Violation] = [] if faults is None else faults
        self._seen: set[str] = set()
        self._sections: list[Reader] = []

    def fault(self, name: str, german: str, english: str) -> None:
        pointer = f"{self._pointer}/{name}"
        self._faults.append(
            Violation("connection-profile", "GWT-10", pointer, f"{name}: {german}", f"{name}: {english}")
        )

    def absent(self, name: str) -> bool:
        return self._raw.get(name) in (None, "")

    def finish(self) -> None:
        """Raises RuleViolation when anything was wrong, unknown names included."""
        for section in (self, *self._sections):
            for name in sorted(set(section._raw) - section._seen):
                section.fault(name, "unbekannt", "unknown")
        if self._faults:
            raise RuleViolation(self._faults)

    def section(self, name: str, *, optional: bool = False) -> Reader:
        value = self._take(name)
        faults = self._faults
        if not isinstance(value, Mapping):
            if value is not None or not optional:
                self.fault(name, "muss ein Objekt sein", "must be an object")
            value, faults = {}, []  # what is not there has no faults of its own
        section = Reader(value, f"{self._pointer}/{name}", faults)
        self._sections.append(section)
        return section

    def text(self, name: str, default: str | None) -> str:
        """`default` None: required."""
        value = self._take(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not value.strip() or "\0" in value:
            self.fault(name, "muss ein Text sein", "must be a text")
            return default or ""
        return value

    def choice(self, name: str, default: str, allowed: Set[str]) -> str:
        value = self._take(name)
        if value is None:
            return default
        if not isinstance(value, str) or value not in allowed:
            one_of = ", ".join(sorted(allowed))
            self.fault(name, f"erlaubt sind: {one_of}", f"must be one of: {one_of}")
            return default
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        value = self._take(name)
        if value is not None and not isinstance(value, bool):
            self.fault(name, "muss true oder false sein", "must be true or false")
        return value if isinstance(value, bool) else default

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        value = self._take(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.fault(
                name, f"muss eine Zahl von {least} bis {most} sein", f"must be an integer from {least} to {most}"
            )
            return default
        return value

    def seconds(self, name: str, default: float, most: float = 3600.0) -> float:
        value = self._take(name)
        if value is None:
            return default
        number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
        if not 0 < number <= most:
            self.fault(
                name, f"muss über 0 und bis {most:g} Sekunden sein", f"must be above 0 and up to {most:g} seconds"
            )
            return default
        return number

    def path(self, name: str) -> Path | None:
        value = self._take(name)
        if value is None:
            return None
        if not isinstance(value, str) or not value or "\0" in value:
            self.fault(name, "muss ein Dateipfad sein", "must be the path of a file")
            return None
        return Path(value)

    def names(self, name: str, *, optional: bool = False) -> frozenset[str]:
        """Domains or local parts, lower-cased."""
        values = self._list(name)
        for index, value in enumerate(values):
            if not _NAME.fullmatch(value):
                self.fault(f"{name}/{index}", "ist kein Name", "is no name")
        if not values and not optional and self._raw.get(name) in (None, []):
            self.fault(name, "darf nicht leer sein", "must not be empty")
        return frozenset(value.lower() for value in values)

    def peers(self, name: str) -> tuple[str, ...]:
        """Fingerprints as 64 lower-case hex digits, names lower-cased."""
        peers = []
        for index, value in enumerate(self._list(name)):
            if match := _FINGERPRINT.fullmatch(value):
                peers.append(match[1].replace(":", "").lower())
            elif _NAME.fullmatch(value):
                peers.append(value.lower())
            else:
                self.fault(f"{name}/{index}", "ist weder Fingerabdruck noch Name", "is neither fingerprint nor name")
        return tuple(peers)

    def fingerprints(self, name: str) -> frozenset[str]:
        """64 lower-case hex digits each."""
        found = set()
        for index, value in enumerate(self._list(name)):
            if match := _FINGERPRINT.fullmatch(value):
                found.add(match[1].replace(":", "").lower())
            else:
                self.fault(f"{name}/{index}", "ist kein SHA-256-Fingerabdruck", "is no SHA-256 fingerprint")
        return frozenset(found)

    def texts(self, name: str) -> frozenset[str]:
        values = self._list(name)
        for index, value in enumerate(values):
            if not value.strip():
                self.fault(f"{name}/{index}", "darf nicht leer sein", "must not be empty")
        return frozenset(values)

    def urls(self, name: str) -> tuple[str, ...]:
        """Revocation lists and OCSP answers are signed: plain http is usual for them."""
        values = self._list(name)
        for index, value in enumerate(values):
            if not _is_url(value, ("http", "https")):
                self.fault(f"{name}/{index}", "ist keine http(s)-Adresse", "is no http(s) address")
        return tuple(values)

    def url(self, name: str, *, plain: bool) -> str | None:
        value = self._take(name)
        if value is None:
            return None
        if not isinstance(value, str) or not _is_url(value, ("http", "https") if plain else ("https",)):
            self.fault(name, "muss eine https-Adresse sein", "must be an https address")
            return None
        return value.rstrip("/")

    def counts(self, name: str) -> Mapping[str, int] | None:
        value = self._take(name)
        if value is None:
            return None
        if not isinstance(value, Mapping) or not all(
            isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in value.values()
        ):
            self.fault(name, "muss positive Zahlen nennen", "must name positive integers")
            return None
        return dict(value)

    def _take(self, name: str) -> Any:
        self._seen.add(name)
        return self._raw.get(name)

    def _list(self, name: str) -> list[str]:
        value = self._take(name)
        if value is None:
            return []
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            self.fault(name, "muss eine Liste von Texten sein", "must be a list of texts")
            return []
        return list(value)


def _is_url(value: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname) and value.isprintable() and " " not in value
