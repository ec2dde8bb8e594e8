"""No scanner: an installation that decided to scan elsewhere. Reports say ``none``, and every start says so loudly."""

from __future__ import annotations

from demail_gateway.application.ports.scanning import Scan, ScanResult, ScanVerdict

_NOTHING = ScanResult(ScanVerdict.NONE)


class NoScanner:
    """Meets the port `Scanner`."""

    def file(self) -> Scan:
        return _NoScan()

    async def message(self, octets: bytes) -> ScanResult:
        return _NOTHING


class _NoScan:
    async def feed(self, octets: bytes) -> None:
        pass

    async def end(self) -> ScanResult:
        return _NOTHING
