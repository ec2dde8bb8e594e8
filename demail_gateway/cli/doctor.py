"""`doctor`: configuration, database, Redis, clock, certificates, providers; one line each, with the mend."""

from __future__ import annotations

import json
import sys

from demail_gateway.bootstrap.diagnosis import Diagnosis, diagnose
from demail_gateway.settings import ConfigurationError, load_settings


async def run_doctor(*, as_json: bool) -> int:
    """Exit code: 0 all well, warnings or not; 1 otherwise."""
    try:
        settings = load_settings()
    except ConfigurationError as error:
        findings = [Diagnosis("configuration", False, fault, "Variable berichtigen") for fault in error.faults]
    else:
        findings = await diagnose(settings)
    if as_json:
        json.dump([finding.as_document() for finding in findings], sys.stdout, ensure_ascii=False, indent=1)
        print()
    else:
        for finding in findings:
            print(finding.as_line())
    return 0 if all(finding.well for finding in findings) else 1
