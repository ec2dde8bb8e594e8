"""Lists of messages: the query of every kind of list runs, and gives its messages in order."""

from __future__ import annotations

import pytest

from demail_gateway.application.ports.reading import MessageFilter
from demail_gateway.core.vocabulary import Direction, MessageState
from tests.storage.stage import Stage, Tenant, later, new_message


@pytest.mark.parametrize("direction", [None, Direction.OUTBOUND])
@pytest.mark.parametrize("states", [(), (MessageState.QUEUED, MessageState.CANCELLED)])
async def test_newest_messages_come_first_page_by_page(
    stage: Stage, elbtal: Tenant, direction: Direction | None, states: tuple[MessageState, ...]
) -> None:
    accepted = [await stage.accept(elbtal, new_message(elbtal, created_at=later(minutes=n))) for n in range(3)]
    where = MessageFilter(direction, states)
    first = await stage.reading.messages(elbtal.scope, where, 2, None)
    second = await stage.reading.messages(elbtal.scope, where, 2, first.next_cursor)
    found = [view.id for page in (first, second) for view in page.items]
    assert found == [message.id for message in reversed(accepted)]
    assert second.next_cursor is None


async def test_the_inbox_of_a_tenant_without_mail_is_empty(stage: Stage, elbtal: Tenant) -> None:
    page = await stage.reading.messages(elbtal.scope, MessageFilter(Direction.INBOUND), 50, None)
    assert page.items == ()
