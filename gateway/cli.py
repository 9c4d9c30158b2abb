"""The command `jtgate`: what an operator can do from a shell.

Commands are thin; what they do stands in the modules that they import, and only when they run, so
that `jtgate --help` is there at once. Whatever can be expected to go wrong is said in one sentence
on standard error: exit status 2 for wrong usage or settings, 1 for failure.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import re
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from gateway.failure import Failure

if TYPE_CHECKING:
    from gateway.config import Settings
    from storage.database import Connection

T = TypeVar("T")

USAGE, FAILURE, INTERRUPTED = 2, 1, 130

# Commands of other modules, loaded when they are used: name: (module:function, first line of help).
ELSEWHERE = {
    "send": ("gateway.commands_send:send", "Tell a terminal to do something."),
    "decode": ("gateway.commands_decode:decode", "Explain a JT/T 808 frame."),
    "simulate": ("simulator.cli:simulate", "Play vehicle terminals against a JT/T 808 platform."),
    "audit": ("gateway.commands_audit:audit", "Hold a simulator's ledger against the database."),
}


class _Elsewhere(TyperCommand):
    """Stands for a command of another module until it is used."""

    target = ""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        module, _, name = self.target.partition(":")
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command(self.name)(getattr(importlib.import_module(module), name))
        command = get_command(single)
        return command.make_context(info_name, args, parent=parent, **extra)


class _Commands(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *_elsewhere()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in _elsewhere():
            return super().get_command(ctx, cmd_name)
        target, text = ELSEWHERE[cmd_name]
        command = _Elsewhere(name=cmd_name, help=text)
        command.target = target
        return command


def _elsewhere() -> list[str]:
    return [
        name for name, (target, _) in ELSEWHERE.items() if importlib.util.find_spec(target.partition(":")[0])
    ]


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="A gateway for JT/T 808 terminals. First steps: jtgate doctor, jtgate serve, jtgate tail.",
)
config_commands = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The settings.")
keys_commands = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Keys of the API.")
app.add_typer(config_commands, name="config")
app.add_typer(keys_commands, name="keys")

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings as TOML; the environment wins."),
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"jtgate {version('jtgate')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    pass


@app.command()
def serve(config: ConfigFile = None) -> None:
    """Run the gateway until it is told to stop.

    Example: JTGATE_HOST=0.0.0.0 jtgate serve
    """
    _serve(config, fleet=0)


@app.command()
def demo(config: ConfigFile = None) -> None:
    """Run the gateway with 50 simulated vehicles.

    Example: jtgate demo, and in another shell: jtgate tail
    """
    _serve(config, fleet=50)


@app.command()
def migrate(config: ConfigFile = None) -> None:
    """Bring the tables up to date. `serve` does it too; this is for upgrades step by step.

    Example: JTGATE_DATABASE_URL=postgresql://jtgate@db/jtgate jtgate migrate
    """
    from storage import migrate as migrations

    async def work(connection: Connection) -> list[str]:
        return await migrations.migrate(connection)

    for name in (applied := _with_database(config, work, tables=False)):
        print(f"applied {name}")
    if not applied:
        print("up to date")


@app.command()
def doctor(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Say what stands in the way of a start. Changes nothing.

    Example: jtgate doctor
    """
    from gateway.doctor import FAIL, Check, examine

    settings = _settings(config)

    async def work() -> list[Check]:
        return [check async for check in examine(settings)]

    checks = asyncio.run(work())
    if as_json:
        print(json.dumps([check._asdict() for check in checks], ensure_ascii=False, indent=2))
    for check in checks if not as_json else ():
        print(f"{check.status:<5} {check.name:<18} {check.found}")
        if check.advice:
            print(f"{'':<24} {check.advice}")
    if any(check.status == FAIL for check in checks):
        raise typer.Exit(FAILURE)


@config_commands.command("show")
def config_show(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Print every setting with its value and where the value came from. Passwords are masked.

    Example: jtgate config show --config /etc/jtgate.toml
    """
    from gateway.config import origins

    shown = origins(_settings(config))
    if as_json:
        table = {name: origin._asdict() for name, origin in shown.items()}
        print(json.dumps(table, ensure_ascii=False, indent=2))
        return
    for name, origin in shown.items():
        value = "-" if origin.value is None else origin.value
        print(f"{name:<28} {value!s:<28} {origin.source}")


@keys_commands.command("create")
def keys_create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the key is for.")],
    scope: Annotated[
        list[str],
        typer.Option(metavar="SCOPE", help="read, events, terminals:write or admin; may be repeated."),
    ],
    expires: Annotated[
        str | None, typer.Option(metavar="DAYSd|DATE", help="90d, or 2027-01-31 (UTC).")
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it. It can't be shown again.

    Example: jtgate keys create "monitoring centre" --scope read --scope events --expires 365d
    """
    from storage import keys

    if unknown := sorted(set(scope) - set(keys.SCOPES)):
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join(keys.SCOPES)}", param_hint="--scope")
    until = _moment(expires)

    async def work(connection: Connection) -> str:
        return await keys.create(connection, name, scope, expires_at=until)

    key = _with_database(config, work)
    print(json.dumps({"key": key, "name": name, "scopes": sorted(set(scope))}) if as_json else key)


@keys_commands.command("list")
def keys_list(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Print all keys, without their secrets.

    Example: jtgate keys list
    """
    from gateway.stream import rfc3339
    from storage import keys

    rows: list[dict[str, Any]] = [
        {
            "id": key.id,
            "name": key.name,
            "scopes": sorted(key.scopes),
            **{
                name: None if (at := getattr(key, name)) is None else rfc3339(at)
                for name in ("created_at", "expires_at", "revoked_at", "last_used_at")
            },
        }
        for key in _with_database(config, keys.list_)
    ]
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    for row in rows:
        state = "revoked" if row["revoked_at"] else f"until {row['expires_at'] or 'revoked'}"
        used = f"used {row['last_used_at'] or 'never'}"
        print(f"{row['id']}  {','.join(row['scopes']):<24} {state:<32} {used:<30} {row['name']}")


@keys_commands.command("revoke")
def keys_revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `keys list` shows it.")],
    config: ConfigFile = None,
) -> None:
    """End a key. A running gateway refuses it within ten seconds.

    Example: jtgate keys revoke 3f9a0c55d2e1
    """
    from storage import keys

    async def work(connection: Connection) -> bool:
        return await keys.revoke(connection, key_id)

    if not _with_database(config, work):
        raise Failure(f"There is no key {key_id} that could be revoked.")
    print(f"revoked {key_id}")


@app.command()
def tail(
    *,
    kind: Annotated[list[str] | None, typer.Option(metavar="KIND", help="Only alarms of this kind.")] = None,
    phone: Annotated[list[str] | None, typer.Option(metavar="PHONE", help="Only of this terminal.")] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="From this time on (RFC 3339).")] = None,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="From the earliest event that is kept.")
    ] = False,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="Of the gateway; else this machine's.")
    ] = None,
    key: Annotated[str | None, typer.Option(metavar="KEY", help="An API key; else data/admin.key.")] = None,
    config: ConfigFile = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON on a terminal too, as when it is piped.")
    ] = False,
) -> None:
    """Print events as they come.

    One JSON object a line, or readable lines on a terminal.

    Example: jtgate tail --kind fatigue --kind phone_use
    Example: jtgate tail --from-start | jq -r .data.kind | sort | uniq -c
    """
    from gateway import tail as client

    if since and from_start:
        raise typer.BadParameter("goes without --since", param_hint="--from-start")
    query: dict[str, Any] = {"kind": kind or [], "phone": phone or []}
    if since:
        query["since"] = since
    elif from_start:
        query["cursor"] = "earliest"
    if url is None or key is None:
        settings = _settings(config)
        url = url or _local_url(settings)
        key = key or _admin_key(settings)
    try:
        client.run(url, key, query, as_json=as_json or not sys.stdout.isatty())
    except client.TailError as error:
        raise Failure(str(error)) from None


def main() -> NoReturn:
    """The command line. Exits with 0, 1 (failure), 2 (usage) or 130 (interrupted)."""
    sys.exit(_run(lambda: app(prog_name="jtgate", standalone_mode=False)))


def _run(command: Callable[[], Any]) -> int:
    try:
        status = command()
        return status if isinstance(status, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except Exception as error:  # the last boundary: what is expected becomes a sentence
        status, sentence = _sentence(error)
        if not status:
            raise
        print(sentence, file=sys.stderr)
        return status


def _sentence(error: Exception) -> tuple[int, str]:
    """Exit status and what to say; status 0 for what nobody expected."""
    from gateway.config import ConfigError

    if show := getattr(error, "format_message", None):  # typer's own, of its private click
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "jtgate"
        text = str(show())
        if type(error).__name__ == "NoArgsIsHelpError":
            return USAGE, text
        end = "" if text.endswith((".", "?")) else "."
        return USAGE, f"{path}: {text}{end} Try: {path} --help"
    if isinstance(error, ConfigError):
        return USAGE, f"jtgate: {error}"
    return (FAILURE, f"jtgate: {text}") if (text := _failure(error)) else (0, "")


def _failure(error: Exception) -> str:
    """What can go wrong at run time, in a sentence; empty for a mistake of ours."""
    import asyncpg

    from gateway.visit import VisitError
    from storage.embedded import EmbeddedPostgresError
    from storage.migrate import MigrationError

    if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError):
        return f"the database refuses: {str(error).splitlines()[0]}"
    expected = (Failure, VisitError, EmbeddedPostgresError, MigrationError, OSError)
    return str(error) or type(error).__name__ if isinstance(error, expected) else ""


def _settings(file: Path | None) -> Settings:
    from gateway.config import load

    return load(file)


def _serve(config: Path | None, *, fleet: int) -> None:
    from gateway import logs, supervisor

    settings = _settings(config)
    logs.configure(settings.log_format, settings.log_level)
    raise typer.Exit(supervisor.run(settings, fleet=fleet))


def _with_database(
    config: Path | None,
    work: Callable[[Connection], Coroutine[Any, Any, T]],
    *,
    tables: bool = True,
) -> T:
    """What some work finds out on one connection; with `tables`, to a database that has them."""
    from gateway import logs
    from gateway.visit import visit

    settings = _settings(config)
    logs.configure(settings.log_format, "warning")

    async def run() -> T:
        async with visit(settings, tables=tables) as connection:
            return await work(connection)

    return asyncio.run(run())


def _moment(text: str | None) -> float | None:
    """ "90d" or a date, as seconds since 1970."""
    from datetime import UTC, datetime, timedelta

    if text is None:
        return None
    try:
        if days := re.fullmatch(r"(\d{1,5})d", text):
            return (datetime.now(UTC) + timedelta(days=int(days[1]))).timestamp()
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is neither days such as 90d nor a date such as 2027-01-31",
            param_hint="--expires",
        ) from None


def _local_url(settings: Settings) -> str:
    from gateway.doctor import local

    return f"http://{local(settings.host)}:{settings.http_port}"


def _admin_key(settings: Settings) -> str:
    path = settings.admin_key_file
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise Failure(
            f"{path} can't be read: run it where the gateway runs, or name a key with --key."
        ) from None


if __name__ == "__main__":
    main()
