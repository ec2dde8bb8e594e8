from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demail_gateway.embedded.ports import free_port
from demail_gateway.observability.metrics import Metrics
from demail_gateway.observability.metrics_server import serve_metrics
from demail_gateway.observability.trace import is_trace_id, new_trace_id, parse_traceparent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_traceparent_is_read() -> None:
    trace = parse_traceparent(f"00-{TRACE}-{SPAN}-01")
    assert trace is not None
    assert (trace.trace_id, trace.parent_id, trace.sampled) == (TRACE, SPAN, True)


def test_later_version_may_carry_more_parts() -> None:
    assert parse_traceparent(f"01-{TRACE}-{SPAN}-00-more") is not None


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "junk",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01\r\nX: y",
    ],
)
def test_malformed_traceparent_starts_a_new_trace(value: str | None) -> None:
    assert parse_traceparent(value) is None


@given(st.text(max_size=80))
def test_no_header_text_breaks_the_reader(value: str) -> None:
    trace = parse_traceparent(value)
    assert trace is None or is_trace_id(trace.trace_id)


def test_new_trace_id_needs_sixteen_octets_not_all_zero() -> None:
    assert is_trace_id(new_trace_id(bytes(range(16))))
    for bad in (b"short", bytes(16)):
        with pytest.raises(ValueError, match="16 random octets"):
            new_trace_id(bad)


def test_metrics_are_served_on_a_port_of_their_own_and_ended() -> None:
    metrics, port = Metrics(), free_port()
    metrics.note("wake_failed", {})
    end = serve_metrics(metrics, "127.0.0.1", port)
    text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    end()
    assert "demail_wake_failures_total 1.0" in text
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/metrics")


def test_tenant_label_is_capped() -> None:
    metrics = Metrics()
    for number in range(150):
        metrics.note("hand_over_ended", {"tenant": number, "end": "taken", "seconds": 0.01})
    text = metrics.render().decode()
    assert text.count("demail_hand_overs_total{") == 101
    assert 'demail_hand_overs_total{end="taken",tenant="other"} 50.0' in text


def test_events_of_work_move_their_metrics() -> None:
    metrics = Metrics()
    metrics.note("queue_age", {"seconds": 2.5, "retrying": 3, "retrying_seconds": 90.0})
    metrics.note("wake_failed", {})
    metrics.note("evidence_recorded", {"tenant": "t", "outcome": "passed"})
    text = metrics.render().decode()
    assert "demail_queue_age_seconds 2.5" in text
    assert "demail_retrying_copies 3.0" in text
    assert "demail_retrying_age_seconds 90.0" in text
    assert "demail_wake_failures_total 1.0" in text
    assert 'demail_received_total{outcome="passed",tenant="t"} 1.0' in text
