"""Lines of `doctor`."""

from __future__ import annotations

import base64

import pytest

from demail_gateway.bootstrap.diagnosis import Diagnosis, diagnose, scanner_diagnosis
from demail_gateway.settings import load_settings


def test_a_fault_a_warning_and_what_is_well_have_marks_of_their_own() -> None:
    lines = [
        Diagnosis("part", True, "fact", "mend").as_line(),
        Diagnosis("part", True, "fact", "mend", warning=True).as_line(),
        Diagnosis("part", False, "fact", "mend").as_line(),
    ]
    assert lines == ["gut     part: fact", "ACHTUNG part: fact → mend", "FEHLER  part: fact → mend"]


@pytest.mark.clause("SND-74")
@pytest.mark.parametrize("scanner", ["none", "eicar-test"])
def test_an_installation_that_nobody_protects_from_malware_is_warned_and_not_faulty(scanner: str) -> None:
    found = scanner_diagnosis(load_settings({"DEMAIL_ENVIRONMENT": "test", "DEMAIL_SCANNER": scanner}))
    assert found.as_line().startswith("ACHTUNG scanner: ")
    assert (found.well, found.as_document()["warning"]) == (True, True)


FOLLOWING = {"clock", "clients", "tenant keys", "connections", "providers"}


async def test_without_a_configuration_everything_else_waits_for_it() -> None:
    found = {each.part: each for each in await diagnose(load_settings({}))}
    assert found["configuration"].mend == "die genannte Variable setzen"
    assert {found[part].mend for part in FOLLOWING | {"database", "redis"}} == {"zuerst die Konfiguration"}


async def test_without_a_database_what_is_in_it_waits_for_it() -> None:
    key = base64.b64encode(bytes(32)).decode()
    away = {"DEMAIL_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "DEMAIL_MASTER_KEY": key}
    found = {each.part: each for each in await diagnose(load_settings(away))}
    assert found["database"].mend.startswith("DEMAIL_DATABASE_URL prüfen")
    assert {found[part].mend for part in FOLLOWING} == {"zuerst die Datenbank"}
