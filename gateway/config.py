"""The settings: what can be set, what each takes, and where its value came from.

Names are fixed by the contract with operators: `JTGATE_<NAME>` in the environment, `<name>` in a
TOML file; the environment wins. Everything that is wrong with a setting is said in one sentence
that names it (`ConfigError`). Knows no other room: settings are plain values that are handed to
whoever needs them.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from pydantic import AfterValidator, Field, PrivateAttr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "JTGATE_"
FILE_VARIABLE = "JTGATE_CONFIG"

# Kubernetes puts the first ones into every pod that shares a namespace with a Service called
# "jtgate"; the others belong to the tests of this repository.
_NOT_OURS = re.compile(r"JTGATE_(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP)(_\w+)?)?|TEST_\w+)")


class ConfigError(ValueError):
    """A setting is unknown or has a wrong value; the message is one sentence for the operator."""


class Takes(str):
    """What a setting takes, in words: completes "JTGATE_X takes …"."""


class Origin(NamedTuple):
    value: Any  # as it may be shown: secrets masked
    source: str  # "default", "environment JTGATE_…" or "file …"


def _postgres_url(url: str) -> str:
    parts = urlsplit(url)
    _ = parts.port  # raises ValueError where it is none
    if parts.scheme not in ("postgresql", "postgres"):
        raise ValueError
    return url


def _host(host: str) -> str:
    if not re.fullmatch(r"[0-9A-Za-z_.:%-]{1,255}", host):
        raise ValueError
    return host


def _zero_or_three(value: int) -> int:
    if value not in (0, 3):
        raise ValueError
    return value


Port = Annotated[int, Field(ge=0, le=65535), Takes("a port from 0 to 65535 (0: any free one)")]
Days = Annotated[int, Field(ge=1, le=36500), Takes("a number of days from 1 to 36500")]
Seconds = Annotated[
    float,
    Field(gt=0, le=864000, allow_inf_nan=False),
    Takes("a number of seconds above 0 and up to 864000"),
]
Count = Annotated[int, Field(ge=1, le=10_000_000), Takes("a whole number from 1 to 10000000")]
HostName = Annotated[str, AfterValidator(_host), Takes("an IP address or a host name")]


class Settings(BaseSettings):
    """All settings. `Settings(name=value)` overrides the environment (tests, embedding); `load`
    reads the environment over a file, as the program does."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True)

    database_url: Annotated[
        str | None,
        AfterValidator(lambda url: url and _postgres_url(url)),
        Takes("a URL such as postgresql://user:password@host:5432/database"),
    ] = Field(None, description="PostgreSQL 14 or newer; unset: an embedded one in the data folder")
    data_dir: Annotated[Path, Takes("a folder")] = Field(
        Path("data"), description="embedded database, evidence files, admin key"
    )
    host: HostName = Field("127.0.0.1", description="address of all listeners")
    public_address: Annotated[
        str | None,
        AfterValidator(lambda host: host and _host(host)),
        Takes("an IP address or a host name"),
    ] = Field(None, description="what terminals are told to connect to; unset: the host")
    terminal_port: Port = Field(7808, description="JT/T 808, TCP and UDP")
    evidence_port: Port = Field(7812, description="evidence upload")
    media_port: Port = Field(7078, description="JT/T 1078 media")
    http_port: Port = Field(8080, description="API, console, metrics")
    # Names of what is not built yet: refused in words, as a setting that does nothing misleads.
    workers: Annotated[int, Field(ge=1, le=1), Takes("1: this version has one process")] = Field(
        1, description="terminal processes"
    )
    nats_url: Annotated[None, Takes("no value: this version has one process and needs no bus")] = Field(
        None, description="the bus across processes"
    )

    registration: Annotated[Literal["open", "known"], Takes('"open" or "known"')] = Field(
        "open", description="open: unknown terminals are taken in; known: only provisioned ones"
    )
    unauthenticated: Annotated[Literal["refuse", "accept"], Takes('"refuse" or "accept"')] = Field(
        "refuse", description="data that a terminal sends before it has authenticated"
    )
    unknown_message_result: Annotated[
        int,
        AfterValidator(_zero_or_three),
        Takes("0 (success) or 3 (not supported)"),
    ] = Field(0, description="result in the 0x8001 for a message that the catalogue does not know")
    rsa: Annotated[Literal["off", "read", "seal"], Takes('"off", "read" or "seal"')] = Field(
        "off",
        description="read: our key is told to terminals and encrypted bodies are read; "
        "seal: commands are encrypted too",
    )
    backfill_days: Days = Field(30, description="how far back a device time is believed")
    clock_ahead: Seconds = Field(3600, description="how far ahead a device time is believed, s")

    location_days: Days = Field(190, description="how long locations are kept")
    event_days: Days = Field(30, description="how long events are kept")
    rejected_days: Days = Field(30, description="how long rejected messages are kept")

    preauth_timeout: Seconds = Field(15, description="to authenticate after connecting, s")
    idle_timeout: Seconds = Field(300, description="silence after which a session is closed, s")
    fault_rate: Count = Field(60, description="faults per minute that close a connection")
    max_connections_per_address: Count = Field(
        10_000, description="connections of one address that have not authenticated"
    )
    queue_rows: Count = Field(50_000, description="reports queued before sockets are not read")
    stall_limit: Seconds = Field(60, description="database away: sessions are closed after, s")

    evidence_file_mib: Count = Field(64, description="the largest evidence file, MiB")
    evidence_alarm_mib: Count = Field(256, description="all files of one alarm, MiB")
    evidence_terminal_mib: Count = Field(2048, description="all files of one terminal in a day, MiB")
    evidence_keep_free_mib: Count = Field(1024, description="disk space that evidence leaves free, MiB")
    evidence_retry: Seconds = Field(300, description="files that did not come are asked for again after, s")
    evidence_attempts: Count = Field(3, description="how often the files of an alarm are asked for")

    log_format: Annotated[Literal["auto", "json", "console"], Takes("auto, json or console")] = Field(
        "auto", description="auto: console on a terminal, else JSON lines"
    )
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Takes("debug, info, warning or error")
    ] = Field("info", description="the least level that is logged")

    _sources: dict[str, str] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _backfill_fits(self) -> Settings:
        if self.location_days < self.backfill_days:
            raise ValueError(
                f"{PREFIX}LOCATION_DAYS takes at least {PREFIX}BACKFILL_DAYS "
                f"({self.backfill_days}), else back-filled reports would be dropped at once."
            )
        return self

    @property
    def advertised_address(self) -> str:
        """What terminals are told to connect to."""
        return self.public_address or self.host

    @property
    def evidence_folder(self) -> Path:
        return self.data_dir / "evidence"

    @property
    def admin_key_file(self) -> Path:
        return self.data_dir / "admin.key"


def load(file: str | os.PathLike[str] | None = None) -> Settings:
    """The settings of this process: environment over `file` (or the file that JTGATE_CONFIG names).

    Raises ConfigError with one sentence that names the setting and what it takes.
    """
    known = Settings.model_fields
    named = file or os.environ.get(FILE_VARIABLE) or None
    values = _read(Path(named)) if named else {}
    _refuse_unknown(values, known, f" in {named}")
    variables = {key.upper(): key for key in os.environ if key.upper().startswith(PREFIX)}
    _refuse_unknown(
        (v for v in variables if not _NOT_OURS.fullmatch(v)),
        [PREFIX + name.upper() for name in known] + [FILE_VARIABLE],
        " in the environment",
    )
    sources = dict.fromkeys(values, f"file {named}")
    for name in known:
        variable = variables.get(PREFIX + name.upper())
        if variable and os.environ[variable]:
            values.pop(name, None)
            sources[name] = f"environment {variable}"
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise ConfigError(_sentence(error, sources)) from None
    settings._sources.update(sources)
    return settings


def origins(settings: Settings) -> dict[str, Origin]:
    """Each setting's value, fit to be shown, and where it came from."""
    return {
        name: Origin(
            _shown(name, getattr(settings, name)),
            settings._sources.get(name, "argument" if name in settings.model_fields_set else "default"),
        )
        for name in Settings.model_fields
    }


def masked(url: str) -> str:
    """A database URL without its password (in the authority, as a query parameter or keyword)."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "***"
    if parts.password is not None:
        netloc = f"{parts.username or ''}:***@{parts.netloc.rpartition('@')[2]}"
        url = urlunsplit(parts._replace(netloc=netloc))
    return re.sub(r"(?i)(password=)[^&\s]*", r"\1***", url)


def _shown(name: str, value: Any) -> Any:
    if name == "database_url" and value is not None:
        return masked(str(value))
    return str(value) if isinstance(value, Path) else value


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from None


def _refuse_unknown(names: Iterable[str], known: Iterable[str], where: str) -> None:
    known = list(known)
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {close[0]}?" if close else "."
            raise ConfigError(f"{name}{where} is not a setting{hint}")


def _sentence(error: ValidationError, sources: Mapping[str, str]) -> str:
    first = error.errors(include_url=False)[0]
    if not first["loc"]:  # said by a model validator, in full
        return str(first["ctx"]["error"]) if "ctx" in first else first["msg"]
    # pydantic-settings names a field by its variable where the value came from the environment
    name = str(first["loc"][0]).lower().removeprefix(PREFIX.lower())
    field = Settings.model_fields[name]
    takes = next(word for word in field.metadata if isinstance(word, Takes))
    source = sources.get(name, "")
    key = name if source.startswith("file") else PREFIX + name.upper()
    where = f" (in {source.removeprefix('file ')})" if source.startswith("file") else ""
    return f"{key} takes {takes}, not {_shown(name, first['input'])!r}{where}."
