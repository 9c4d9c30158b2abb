"""Many terminals in one process: who they are, when they arrive, how the run ends, what it came to.

Everything that runs at once is here; what one terminal does is in `terminal.py`, its sockets are in
`shell.py`. Knows the ledger, but not who reads it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from protocol.header import Edition
from protocol.link import Repetition
from simulator.evidence import Filed
from simulator.identity import ATTACHMENTS, EDITIONS_OF, FILM, Config, Dialect
from simulator.ledger import Ledger
from simulator.scenarios import scenarios
from simulator.shell import SWEEP, Shell
from simulator.tally import Tally
from simulator.terminal import Acked, Terminal
from simulator.track import Track, routes

DRIVERS = 8  # different drives on each route; terminals beyond that share one, elsewhere on it
DRAIN = 10.0  # s that the end of a run waits for acknowledgements
HURRY = 1.0  # s, where somebody asked for the end


class Options(msgspec.Struct, frozen=True):
    """What `jtgate simulate` takes."""

    host: str = "127.0.0.1"
    port: int = 7808
    terminals: int = 10
    interval: float = 10.0  # s between reports; 0: as fast as the window allows
    window: int = 8
    duration: float = 0.0  # s; 0: until it is stopped
    editions: Sequence[Edition] = ()  # taken in turn; empty: those that go with the dialect
    dialects: Sequence[Dialect] = (Dialect.PLAIN, Dialect.SU, Dialect.GUANGDONG)  # taken in turn
    scenario: str = "ordinary"  # names and groups of simulator/scenarios, separated by commas
    alarm_every: int = 0  # reports; 0: none, save where the scenario wants some
    attachments: int | None = None  # files of each alarm; None: by chance, as the scenario has it
    film: int = FILM  # bytes of a video
    ledger: Path | None = None
    seed: int = 1
    phone_base: int = 13_800_000_000
    udp: bool = False
    ramp: float = 5.0  # s over which terminals arrive
    heartbeat: float = 30.0  # s
    repetition: Repetition = Repetition()
    reconnect: float = 1.0  # s


class Summary(msgspec.Struct):
    """What a run came to."""

    terminals: int
    seconds: float
    reports_per_second: float  # acknowledged
    unacknowledged: int  # recorded, and still in the terminals at the end
    ledger_entries: int
    counters: dict[str, int | float]  # of `Tally`


class Fleet:
    """A run of many terminals. `tally` may be looked at while it runs."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.tally = Tally()
        self._behaviours = scenarios(options.scenario)
        self._ledger = Ledger(options.ledger) if options.ledger else None
        self._ending = asyncio.Event()
        steady, wall = time.monotonic(), time.time()
        # Steady, so that a step of the machine's clock neither repeats nor holds back anything.
        self._clock: Callable[[], float] = lambda: wall + time.monotonic() - steady

    def stop(self) -> None:
        """Ends the run before its time: terminals still send what they have recorded."""
        self._ending.set()

    async def run(self, progress: Callable[[Fleet], None] | None = None) -> Summary:
        """Plays until `duration` or `stop`; `progress` is called each second."""
        options = self.options
        shell = Shell(options.host, options.port, self._clock, udp=options.udp)
        begun = self._clock()
        for terminal in self._terminals(begun):
            shell.add(terminal)
        terminals = [slot.terminal for slot in shell.slots]
        ends = begun + options.duration if options.duration else float("inf")
        try:
            await self._play(shell, ends, progress)
            ended = self._clock()
            rate = self.tally.acked / (ended - begun)
            for terminal in terminals:
                terminal.stop(ended)
            self._ending.clear()
            await self._play(
                shell,
                ended + DRAIN,
                None,
                until=lambda: not len(shell.uploads) and not any(t.unacknowledged for t in terminals),
            )
        finally:
            await shell.close()
            if self._ledger is not None:
                self._ledger.close()
        return Summary(
            terminals=options.terminals,
            seconds=round(ended - begun, 3),
            reports_per_second=round(rate, 1),
            unacknowledged=sum(terminal.unacknowledged for terminal in terminals),
            ledger_entries=self._ledger.entries if self._ledger else 0,
            counters=self.tally.summary(),
        )

    async def _play(
        self,
        shell: Shell,
        ends: float,
        progress: Callable[[Fleet], None] | None,
        until: Callable[[], bool] = lambda: False,
    ) -> None:
        second = self._clock() + 1.0
        while (now := self._clock()) < ends and not self._ending.is_set():
            shell.sweep()
            if self._ledger is not None:
                self._ledger.flush_due(now)
            if now >= second:
                second += 1.0
                if progress is not None:
                    progress(self)
            if until():
                return
            await asyncio.sleep(SWEEP)

    def _terminals(self, begun: float) -> list[Terminal]:
        options = self.options
        made = []
        ways = list(routes().values())
        tracks: dict[int, Track] = {}
        for number in range(options.terminals):
            way = number % (len(ways) * DRIVERS)
            if way not in tracks:
                tracks[way] = Track(ways[way % len(ways)], options.seed + way)
            behaviour = self._behaviours[number % len(self._behaviours)]
            made.append(
                Terminal(
                    self._config(number),
                    tracks[way],
                    behaviour=behaviour,
                    tally=self.tally,
                    acked=self._acked if self._ledger is not None else None,
                    filed=self._filed if self._ledger is not None else None,
                    start=begun + options.ramp * number / options.terminals,
                )
            )
        return made

    def _config(self, number: int) -> Config:
        options = self.options
        dialect = options.dialects[number % len(options.dialects)]
        editions = options.editions or EDITIONS_OF[dialect]
        turn = number // len(options.dialects)
        return Config(
            phone=str(options.phone_base + number),
            edition=editions[turn % len(editions)],
            dialect=dialect,
            seed=options.seed * 1_000_003 + number,
            interval=options.interval,
            window=options.window,
            heartbeat=options.heartbeat,
            alarm_every=options.alarm_every,
            attachments=ATTACHMENTS if options.attachments is None else (options.attachments,),
            film=options.film,
            repetition=options.repetition,
            reconnect=options.reconnect,
        )

    def _filed(self, filed: Filed) -> None:
        assert self._ledger is not None  # noqa: S101 - the hook is only given out with a ledger
        self._ledger.add_file(filed.phone, filed.sha256, filed.size, acked=filed.at)

    def _acked(self, acked: Acked) -> None:
        assert self._ledger is not None  # noqa: S101 - the hook is only given out with a ledger
        report = acked.report
        self._ledger.add(
            acked.phone, acked.serial, acked.message_id, time=report.time, body=report.body, acked=acked.at
        )
