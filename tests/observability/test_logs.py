"""One JSON object a line, one chain for all loggers, nothing that must not be there."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from demail_gateway.observability.logs import bind, clear, configure_logging, get_logger, unbind
from demail_gateway.observability.metrics import Metrics
from demail_gateway.observability.observer import Observer
from demail_gateway.observability.pseudonym import pseudonym


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    out = io.StringIO()
    configure_logging("probe", "INFO", stream=out)
    yield out
    clear()
    structlog.reset_defaults()
    root.handlers[:] = before
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_event_is_one_json_object_with_service_level_and_time(stream: io.StringIO) -> None:
    get_logger().info("message_handed_over", copy="c1")
    (line,) = lines(stream)
    assert line["event"] == "message_handed_over"
    assert line["service"] == "probe"
    assert line["level"] == "info"
    assert line["at"].endswith("Z")
    assert line["copy"] == "c1"


def test_bound_facts_stand_in_every_line_until_unbound(stream: io.StringIO) -> None:
    bind(request_id="r1", trace_id="t1")
    get_logger().info("first")
    unbind("request_id")
    get_logger().info("second")
    clear()
    get_logger().info("third")
    first, second, third = lines(stream)
    assert (first["request_id"], first["trace_id"]) == ("r1", "t1")
    assert "request_id" not in second
    assert second["trace_id"] == "t1"
    assert "trace_id" not in third


def test_below_the_level_nothing_is_written(stream: io.StringIO) -> None:
    get_logger().debug("detail")
    assert stream.getvalue() == ""


def test_library_warning_loses_its_addresses(stream: io.StringIO) -> None:
    logging.getLogger("aiosmtpd.smtp").warning("over limit for %s", "<geheim@tenant.de-mail.de>\r\nnext")
    (line,) = lines(stream)
    assert line["event"] == "foreign_log"
    assert "geheim" not in stream.getvalue()
    assert "<address>" in line["text"]
    assert len(stream.getvalue().splitlines()) == 1


@pytest.mark.parametrize("name", ["mail.log", "aiosmtpd", "aiosmtplib", "celery.worker", "uvicorn.access", "httpx"])
def test_library_chatter_below_a_warning_is_dropped(stream: io.StringIO, name: str) -> None:
    logging.getLogger(name).info("RCPT TO:<geheim@tenant.de-mail.de>")
    assert stream.getvalue() == ""


def test_traceback_names_class_and_places_and_never_its_text(stream: io.StringIO) -> None:
    try:
        raise ValueError("Betreff: Geheime Sache")
    except ValueError:
        get_logger().error("work_failed", exc_info=True)
        logging.getLogger("celery").error("task failed", exc_info=True)
    own, foreign = lines(stream)
    assert own["error"] == foreign["error"] == "ValueError"
    assert any("test_logs" in place for place in own["at_line"])
    assert "Geheime" not in stream.getvalue()


def test_observer_writes_addresses_as_pseudonyms_and_counts(stream: io.StringIO) -> None:
    metrics = Metrics()
    observe = Observer(metrics, lambda address: pseudonym(address, b"k" * 32))
    observe("peer_refused", address="geheim@tenant.de-mail.de", code="550")
    (line,) = lines(stream)
    assert line["level"] == "warning"
    assert line["address"] == pseudonym("geheim@tenant.de-mail.de", b"k" * 32)
    assert "geheim" not in stream.getvalue()
    assert b'demail_events_total{event="peer_refused"} 1.0' in metrics.render()


def test_pseudonym_is_stable_ignores_case_and_depends_on_the_key() -> None:
    name = pseudonym("Poststelle@Stadt.de-mail.de", b"k")
    assert name == pseudonym(" poststelle@stadt.de-mail.de", b"k")
    assert name != pseudonym("poststelle@stadt.de-mail.de", b"other")
    assert "poststelle" not in name
