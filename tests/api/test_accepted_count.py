"""The count of accepted messages."""

from __future__ import annotations

from tests.fakes.gateway import Gateway


async def test_a_message_is_counted_once_however_often_it_is_sent(gateway: Gateway) -> None:
    for _ in range(2):
        assert (await gateway.send("key-1")).status_code == 202
    assert (await gateway.send("key-2", subject="")).status_code == 422
    counts = [
        line for line in (await gateway.http.get("/metrics")).text.splitlines() if "messages_accepted_total{" in line
    ]
    assert counts == [f'demail_messages_accepted_total{{tenant="{gateway.city.record.id}"}} 1.0']
