"""What query and path parameters take: one vocabulary for all routes.

Whatever passes here is safe to hand to Postgres: no NUL, no number or time that a column can't
hold. Must not know the routes.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from fastapi import Depends, Path, Query
from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from gateway.api.problems import invalid
from storage.events import Filter

MAX_VALUES = 100  # of a parameter that may be given several times
FIRST_YEAR, LAST_YEAR = 1970, 2200  # what `timestamptz`, floats and other languages all hold

_PHONE = re.compile(r"[0-9]{1,20}")
_WORD = re.compile(r"[a-z][a-z0-9_.]{0,63}\*?|\*")
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|z|[+-]\d\d:\d\d)", re.ASCII)


def phone(text: str) -> str:
    """A phone number as identity: digits without leading zeros."""
    if not _PHONE.fullmatch(text):
        raise ValueError("takes 1 to 20 digits")
    return text.lstrip("0") or "0"


def instant(text: object) -> float:
    """RFC 3339 to seconds since 1970. A "+" that arrived as a space is read as "+"."""
    if not isinstance(text, str):
        raise ValueError("takes an RFC 3339 time such as 2026-11-22T21:44:03+08:00")
    text = re.sub(r" (?=\d\d:\d\d$)", "+", text)
    if not (parts := _INSTANT.fullmatch(text)):
        raise ValueError("takes an RFC 3339 time such as 2026-11-22T21:44:03+08:00")
    day, clock, fraction, zone = parts.groups()
    moment = datetime.fromisoformat(f"{day}T{clock}{(fraction or '')[:7]}{zone.upper()}")
    if not FIRST_YEAR < moment.year < LAST_YEAR:
        raise ValueError(f"takes a year between {FIRST_YEAR} and {LAST_YEAR}")
    return moment.astimezone(UTC).timestamp()


def search(text: str) -> str:
    if not text.isprintable():
        raise ValueError("takes printable characters")
    return text


def _split(values: list[str]) -> list[str]:
    """Repeated parameters and commas mean the same."""
    found = [word for value in values for word in value.split(",") if word]
    if len(found) > MAX_VALUES:
        raise ValueError(f"takes at most {MAX_VALUES} values")
    return found


def _words(values: list[str]) -> list[str]:
    for word in (found := _split(values)):
        if not _WORD.fullmatch(word):
            raise ValueError("takes names of lower case letters, digits, '_' and '.'")
    return found


Phone = Annotated[
    str,
    Path(description="the terminal's phone number; leading zeros don't matter"),
    AfterValidator(phone),
]
Phones = Annotated[
    list[str],
    Query(description="phone numbers; may be repeated"),
    AfterValidator(lambda values: [phone(text) for text in _split(values)]),
]
Words = Annotated[list[str], AfterValidator(_words)]
Instant = Annotated[
    float,
    BeforeValidator(instant),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
From = Annotated[Instant | None, Query(alias="from", description="from this time on (RFC 3339)")]
To = Annotated[Instant | None, Query(description="before this time (RFC 3339)")]
Limit = Annotated[int, Query(ge=1, le=1000, description="at most so many")]
Level = Annotated[int, Query(ge=0, le=100, description="at least this level")]
PageCursor = Annotated[str | None, Query(max_length=512, description="`next_cursor` of the page before")]


def seal(*key: Any) -> str:
    """The place where a page ended, as an opaque cursor."""
    return urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def unseal(cursor: str | None, shape: Any) -> Any:
    """The key that `seal` was given, checked against its shape (a tuple type). Else a 422."""
    if cursor is None:
        return None
    try:
        data = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return msgspec.json.decode(data, type=shape)
    except (ValueError, Base64Error, msgspec.DecodeError):
        raise invalid("query", "cursor", "takes the next_cursor of the page before") from None


def _filter(
    type_: Annotated[
        Words, Query(alias="type", description='event types; "alarm.*" stands for all of alarms')
    ] = [],  # noqa: B006 - FastAPI copies it
    kind: Annotated[Words, Query(description="kinds of alarms, such as fatigue")] = [],  # noqa: B006
    family: Annotated[Words, Query(description="families of kinds, such as driver")] = [],  # noqa: B006
    phone: Phones = [],  # noqa: B006
    level: Level = 0,
) -> Filter:
    return Filter(
        types=frozenset(type_),
        kinds=frozenset(kind),
        families=frozenset(family),
        min_level=level,
        phones=frozenset(phone),
    )


Wanted = Annotated[Filter, Depends(_filter)]
