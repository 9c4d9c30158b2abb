"""Asking for evidence: a 0x9208 for each alarm that has files, and again when they do not come.

What is to be asked stands in the tables, so nothing is forgotten by a restart: `alarm` is the quick way from
a commit to the command, `look` finds what it missed. Knows the table and the commands; knows no socket.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import NamedTuple
from weakref import WeakValueDictionary

import structlog

from gateway.commands import CommandError, Commands, Order
from storage import evidence as table
from storage import queries
from storage.database import OUTAGES, Pool
from storage.evidence import GivenUp
from storage.writer import Entry, Writer

log = structlog.get_logger(__name__)

REQUESTED_BY = "evidence"

TTL = 86400.0
"""Seconds for which a 0x9208 waits for its terminal."""

LIFE = 2 * 86400.0
"""Seconds for which a number is valid: a terminal may come back hours after its connection was cut."""

BACK = 86400.0
"""Seconds after its commit in which an alarm that nobody has asked for yet is found."""

MAX_ASKING = 5000
"""Alarms in hand; what comes beyond them is found again in the tables."""

AT_ONCE = 8
"""Terminals that are asked at the same time, as far as the database is concerned."""

LOOK = 200
"""Rows that one look takes."""


class Asked(NamedTuple):
    """Where terminals are sent."""

    server: str
    tcp_port: int
    udp_port: int = 0  # there is no such listener


class Rules(NamedTuple):
    retry: float = 300.0  # seconds without news after which the files are asked for again
    attempts: int = 3


class Requests:
    """All requests of a worker. `look` is called every few seconds."""

    def __init__(
        self,
        pool: Pool,
        commands: Commands,
        writer: Writer,
        where: Asked,
        rules: Rules | None = None,
        *,
        busy: Callable[[str], bool] = lambda alarm_id: False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`busy`: whether files of an alarm are coming in now, so that there is nothing to ask again."""
        self._pool = pool
        self._commands = commands
        self._writer = writer
        self._where = where
        self._rules = rules or Rules()
        self._busy = busy
        self._clock = clock
        self._asking: dict[str, asyncio.Task[None]] = {}  # by alarm
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # by phone
        self._room = asyncio.Semaphore(AT_ONCE)

    def alarm(self, alarm_id: str, *, first: bool = True) -> None:
        """Asks for the files of an alarm: once (`first`), or again under a new number."""
        if alarm_id in self._asking or len(self._asking) >= MAX_ASKING:
            return
        task = asyncio.create_task(self._ask(alarm_id, first))
        self._asking[alarm_id] = task
        task.add_done_callback(lambda _: self._asking.pop(alarm_id, None))

    async def _ask(self, alarm_id: str, first: bool) -> None:
        try:
            async with self._room, self._pool.acquire() as connection:
                view = await queries.alarm(connection, alarm_id)
            if view is None or not view.alarm.attachments or not table.identifier_of(view.alarm):
                return
            turn = self._turns.setdefault(view.phone, asyncio.Lock())
            async with turn:  # one after the other: a terminal has few places for commands
                number = new_number()
                async with self._room, self._pool.acquire() as connection:
                    request = await table.issue(
                        connection, view, number, first=first, now=self._clock(), life=LIFE
                    )
                if request is None:
                    return
                command = await self._commands.submit(self._order(request))
                async with self._pool.acquire() as connection:
                    await table.handed_over(connection, number, command.id)
        except CommandError as error:
            log.warning("evidence not asked for", alarm=alarm_id, error=str(error))
        except OUTAGES as error:
            log.warning("evidence not asked for, will try again", alarm=alarm_id, error=str(error))

    def _order(self, request: table.Request) -> Order:
        body = {
            "server": self._where.server,
            "tcp_port": self._where.tcp_port,
            "udp_port": self._where.udp_port,
            "identifier": request.identifier.hex(),
            "number": request.number,
            "reserved": "",
        }
        return Order(request.phone, 0x9208, body, REQUESTED_BY, ttl=TTL, key=request.number)

    async def look(self) -> None:
        """Asks for what nobody has asked for, asks again for what did not come, and gives up in the end."""
        now = self._clock()
        async with self._pool.acquire() as connection:
            unasked = await table.unasked(connection, now - BACK, LOOK)
            due = await table.due(connection, now - self._rules.retry, LOOK)
        for alarm_id in unasked:
            self.alarm(alarm_id)
        for request in due:
            if self._busy(request.alarm_id) or request.alarm_id in self._asking:
                continue
            if request.attempt < self._rules.attempts:
                self.alarm(request.alarm_id, first=False)
            else:
                step = GivenUp(request.alarm_id, now, f"asked {request.attempt} times")
                self._writer.put(Entry(None, request.phone, request.terminal_id, evidence=(step,)))

    async def close(self) -> None:
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def new_number() -> str:
    """128 random bits. No letters that the magic of data packets has: names of files contain the number."""
    return secrets.token_hex(16).upper()
