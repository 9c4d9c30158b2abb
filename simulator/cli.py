"""`jtgate simulate`: a fleet of terminals against any platform that speaks JT/T 808.

Options to `Fleet`, its progress on a terminal, its summary at the end. Knows nothing of the gateway.
"""

from __future__ import annotations

import asyncio
import resource
import signal
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
import uvloop
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from protocol.header import Edition
from protocol.link import Repetition
from simulator.fleet import Fleet, Options, Summary
from simulator.identity import FILM, Dialect
from simulator.scenarios import GROUPS, SCENARIOS

MOST_TERMINALS = 50_000
MOST_PHONE = 10**12 - MOST_TERMINALS  # 12 digits are what the header of 2013 carries


def simulate(
    *,
    host: Annotated[str, typer.Option(help="Address of the platform.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Its JT/T 808 port.")] = 7808,
    terminals: Annotated[int, typer.Option(min=1, max=MOST_TERMINALS, help="How many.")] = 10,
    interval: Annotated[
        float, typer.Option(min=0, help="Seconds between reports; 0: as fast as the window allows.")
    ] = 10.0,
    window: Annotated[
        int, typer.Option(min=1, max=1000, help="Messages that may be unacknowledged at a time.")
    ] = 8,
    duration: Annotated[float, typer.Option(min=0, help="Seconds; 0: until it is stopped.")] = 0.0,
    edition: Annotated[
        str, typer.Option(help="2011, 2013, 2019, several with commas, or mix: as the dialect has it.")
    ] = "mix",
    dialect: Annotated[
        str, typer.Option(help="808, su, guangdong, several with commas, or mix: all of them.")
    ] = "mix",
    scenario: Annotated[
        str, typer.Option(help="Names of --list with commas: the terminals take turns.")
    ] = "ordinary",
    alarm_every: Annotated[int, typer.Option(min=0, help="Reports from one alarm to the next; 0: none.")] = 0,
    attachments: Annotated[
        int | None, typer.Option(min=0, max=5, help="Files of each alarm; unset: as the scenario has it.")
    ] = None,
    film: Annotated[int, typer.Option(min=0, help="Bytes of a video among them.")] = FILM,
    ledger: Annotated[
        Path | None, typer.Option(help="File to which each acknowledged report is written; see audit.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same vehicles.")] = 1,
    phone_base: Annotated[
        int, typer.Option(min=0, max=MOST_PHONE, help="Phone number of the first.")
    ] = 13_800_000_000,
    udp: Annotated[bool, typer.Option("--udp", help="UDP instead of TCP.")] = False,
    ramp: Annotated[float, typer.Option(min=0, help="Seconds over which they arrive.")] = 5.0,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds to the first repetition (parameter 0x0002).")
    ] = 10.0,
    repeats: Annotated[int, typer.Option(min=0, help="Repetitions at the most (parameter 0x0003).")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as one JSON object.")] = False,
    show_list: Annotated[bool, typer.Option("--list", help="Show the scenarios and leave.")] = False,
) -> None:
    """Play vehicle terminals against a JT/T 808 platform."""
    if show_list:
        _list(as_json)
        return
    try:
        fleet = Fleet(
            Options(
                host=host,
                port=port,
                terminals=terminals,
                interval=interval,
                window=window,
                duration=duration,
                editions=_editions(edition),
                dialects=_dialects(dialect),
                scenario=scenario,
                alarm_every=alarm_every,
                attachments=attachments,
                film=film,
                ledger=ledger,
                seed=seed,
                phone_base=phone_base,
                udp=udp,
                ramp=ramp,
                repetition=Repetition(timeout, repeats),
            )
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    except OSError as error:
        raise typer.BadParameter(f"the ledger {ledger} can't be written: {error.strerror}") from error
    _allow_files(terminals)
    summary = uvloop.run(_run(fleet))
    if as_json:
        typer.echo(msgspec.json.encode(summary).decode())
    else:
        typer.echo(tell(summary))
    if not summary.counters["connects"]:
        typer.echo(f"No terminal could connect to {host}:{port}.", err=True)
        raise typer.Exit(1)


def tell(summary: Summary) -> str:
    """The summary in words."""
    counters = summary.counters
    return (
        f"{summary.terminals} terminals, {summary.seconds:.1f} s: "
        f"{counters['acked']} reports acknowledged ({summary.reports_per_second:.0f}/s), "
        f"{summary.unacknowledged} not, {counters['refused']} refused, "
        f"{counters['backfilled']} in batches, {counters['alarms']} alarms, "
        f"{counters['commands']} commands, {counters['files_uploaded']} files uploaded "
        f"({counters['bytes_uploaded'] / 1e6:.1f} MB), "
        f"{counters['repeated']} repetitions, {counters['reconnects']} reconnects; "
        f"acknowledged after {counters['latency_p50_ms']:.1f} ms (p50), "
        f"{counters['latency_p99_ms']:.1f} ms (p99)"
    )


async def _run(fleet: Fleet) -> Summary:
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, fleet.stop)
    if not sys.stderr.isatty():
        return await fleet.run()
    last = 0

    def progress(fleet: Fleet) -> None:
        nonlocal last
        tally = fleet.tally
        live.update(
            Text(
                f"{tally.online} of {fleet.options.terminals} online  {tally.acked - last}/s acknowledged  "
                f"{tally.acked} in all  {tally.alarms} alarms  {tally.repeated} repeated  "
                f"{tally.reconnects} reconnects  p99 {tally.latency.percentile(0.99) * 1000:.1f} ms"
            ),
            refresh=True,
        )
        last = tally.acked

    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
        return await fleet.run(progress)


def _allow_files(terminals: int) -> None:
    """A socket each: raises the limit of this process as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = terminals * 2 + 100
    if soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _list(as_json: bool) -> None:
    titles = {name: behaviour.title for name, behaviour in SCENARIOS.items()}
    if as_json:
        typer.echo(msgspec.json.encode({"scenarios": titles, "groups": GROUPS}).decode())
        return
    table = Table.grid(padding=(0, 2))
    for name, members in GROUPS.items():
        table.add_row(name, f"several in turn: {len(members)}")
    for name, title in titles.items():
        table.add_row(name, title)
    Console().print(table)


def _editions(names: str) -> list[Edition]:
    if names == "mix":
        return []
    try:
        return [Edition(int(name)) for name in names.split(",")]
    except ValueError:
        raise ValueError(f"--edition takes 2011, 2013, 2019 or mix, not {names!r}") from None


def _dialects(names: str) -> list[Dialect]:
    if names == "mix":
        return list(Dialect)
    try:
        return [Dialect(name.strip()) for name in names.split(",")]
    except ValueError:
        raise ValueError(f"--dialect takes 808, su, guangdong or mix, not {names!r}") from None
