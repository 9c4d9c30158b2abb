"""Commands as rows, and changes as they may follow each other."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import commands as table
from storage.commands import FINAL_STATES, Change, Command, State

NOW = 1_790_000_000.0


def command(**fields) -> Command:
    values = {
        "id": str(uuid.uuid4()),
        "terminal_id": 1,
        "phone": "138",
        "message_id": 0x8300,
        "body": {"text": "请休息\0"},
        "payload": b"\x01x",
        "state": State.QUEUED,
        "requested_by": "key",
        "idempotency_key": None,
        "timeout": 10.0,
        "created_at": NOW,
        "expires_at": NOW + 60,
    }
    return Command(**(values | fields))


def step(of: Command, state: State, at: float = NOW + 1, **facts) -> Change:
    return Change(of.id, of.phone, of.message_id, state, at, state in FINAL_STATES, **facts)


async def test_a_command_is_what_was_written(connection):
    made, new = await table.create(connection, command())
    assert new and await table.get(connection, made.id) == made
    assert made.body == {"text": "请休息"} and made.payload == b"\x01x"
    assert await table.get(connection, "nonsense") is None
    assert await table.get(connection, str(uuid.uuid4())) is None


async def test_the_same_key_of_the_same_caller_is_one_command(connection):
    first, _ = await table.create(connection, command(idempotency_key="k"))
    again, new = await table.create(connection, command(idempotency_key="k"))
    assert not new and again.id == first.id
    other, new = await table.create(connection, command(idempotency_key="k", requested_by="other"))
    assert new and other.id != first.id


async def test_a_whole_life_with_its_events(connection):
    made, _ = await table.create(connection, command())
    answer = {"speed": 600, "text": "a\0b"}
    steps = [
        step(made, State.SENT, NOW + 1),
        step(made, State.ACKNOWLEDGED, NOW + 2, result=0),
        step(made, State.SENT, NOW + 3),  # never back
        step(made, State.ANSWERED, NOW + 4, answer_id=0x0201, answer=answer),
        step(made, State.TIMED_OUT, NOW + 5),
    ]
    news = await table.apply(connection, steps)
    assert [n.type for n in news] == ["command.sent", "command.acknowledged", "command.answered"]
    assert news[-1].data["answer_message"] == "0x0201" and news[-1].id == f"{made.id}.answered"
    found = await table.get(connection, made.id)
    assert (found.state, found.sent_at, found.acknowledged_at, found.answered_at, found.ended_at) == (
        State.ANSWERED,
        NOW + 1,
        NOW + 2,
        NOW + 4,
        NOW + 4,
    )
    assert (found.result, found.answer_id, found.answer) == (0, 0x0201, {"speed": 600, "text": "ab"})


async def test_what_waits_what_is_overdue_and_what_was_abandoned(connection):
    waiting, _ = await table.create(connection, command(created_at=NOW + 1))
    first, _ = await table.create(connection, command())
    away, _ = await table.create(connection, command(phone="139"))
    sent, _ = await table.create(connection, command(created_at=NOW + 2))
    await table.apply(connection, [step(sent, State.SENT)])
    assert [c.id for c in await table.queued(connection, "138")] == [first.id, waiting.id]
    assert {c.id for c in await table.overdue(connection, NOW + 61)} == {first.id, waiting.id, away.id}
    assert await table.overdue(connection, NOW) == []
    assert [c.id for c in await table.abandoned(connection)] == [sent.id]
    assert [c.id for c in await table.of_terminal(connection, "138", after=None, limit=2)] == [
        sent.id,
        waiting.id,
    ]
    rest = await table.of_terminal(connection, "138", after=(waiting.created_at, waiting.id), limit=9)
    assert [c.id for c in rest] == [first.id]


@given(st.lists(st.sampled_from(list(State)[1:]), max_size=8))
@settings(max_examples=200)
def test_any_order_of_changes_ends_in_a_state_that_it_may(order):
    """The rule itself, without the database: states only complete each other."""
    state = State.QUEUED
    for new in order:
        if state in table.MAY_FOLLOW[new]:
            state = new
    if State.ANSWERED in order and State.REFUSED not in order and State.EXPIRED not in order:
        assert state is State.ANSWERED


@pytest.mark.parametrize("state", sorted(FINAL_STATES - {State.TIMED_OUT}))
def test_nothing_follows_what_is_final_but_a_late_answer(state):
    assert not any(state in before for before in table.MAY_FOLLOW.values())
