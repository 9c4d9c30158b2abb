"""`jtgate tail`: the event stream of a running gateway on standard output.

A client of the public API and nothing more: it shows what any centre can do with HTTP and a key.
Reconnects by itself and goes on where it was.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import httpx

PATH = "/api/v1/events/stream"
CONTROL = "stream.bookmark"
READ_TIMEOUT = 45.0  # s; the gateway says something every 15
FIRST_DELAY, LAST_DELAY = 0.5, 10.0  # s between attempts


class TailError(Exception):
    """The stream can't be had; the message is one sentence for the operator."""


class Frame(NamedTuple):
    cursor: str
    type: str
    data: str  # the envelope, as it came


def frames(lines: Iterable[str]) -> Iterator[Frame]:
    """The events in the lines of an SSE response (WHATWG HTML, 9.2.6)."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif "data" in fields:
            yield Frame(fields.get("id", ""), fields.get("event", ""), fields["data"])
            fields = {}


def follow(
    url: str,
    key: str,
    query: dict[str, Any],
    *,
    notice: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Frame]:
    """Events without end, bookmarks left out. Raises TailError where trying again is of no use."""
    cursor, delay, connected = "", FIRST_DELAY, False
    timeout = httpx.Timeout(10.0, read=READ_TIMEOUT)
    with httpx.Client(base_url=url, timeout=timeout, trust_env=False) as client:
        while True:
            headers = {"Authorization": f"Bearer {key}"}
            if cursor:
                headers["Last-Event-ID"] = cursor
            try:
                with client.stream("GET", PATH, params=query, headers=headers) as response:
                    _check(response)
                    connected, delay = True, FIRST_DELAY
                    for frame in frames(response.iter_lines()):
                        cursor = frame.cursor or cursor
                        if frame.type != CONTROL:
                            yield frame
                reason = "the gateway ended the stream"
            except httpx.HTTPError as error:
                reason = str(error) or type(error).__name__
                if not connected:
                    raise TailError(f"{url} can't be reached: {reason}.") from None
            except _Busy as busy:
                reason = str(busy)
            notice(f"{reason}; trying again in {delay:g} s")
            sleep(delay)
            delay = min(delay * 2, LAST_DELAY)


def line(text: str) -> str:
    """An envelope as a line for people."""
    event = json.loads(text)
    data = event.get("data") or {}
    moment = datetime.fromisoformat(data.get("occurred_at") or event["time"]).astimezone()
    words = [
        f"{moment:%Y-%m-%d %H:%M:%S}",
        f"{str(data.get('phone') or event.get('subject', '-')).removeprefix('terminal/'):<12}",
        f"{event['type']:<14}",
        f"{data.get('kind') or '':<20}",
    ]
    if data.get("level"):
        words.append(f"level {data['level']}")
    if position := data.get("position"):
        longitude, latitude = position["wgs84"]
        words.append(f"{latitude:.6f},{longitude:.6f}")
    if "speed_kmh" in data:
        words.append(f"{data['speed_kmh']:g} km/h")
    if data.get("backfilled"):
        words.append("(back-filled)")
    # what a terminal sent must not steer the screen of who looks at it
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in "  ".join(words))


def run(url: str, key: str, query: dict[str, Any], *, as_json: bool) -> None:
    """Print events until interrupted, or until nobody reads them any more."""
    try:
        for frame in follow(url, key, query, notice=lambda text: print(text, file=sys.stderr)):
            print(frame.data if as_json else line(frame.data), flush=True)
    except BrokenPipeError:
        sys.stdout = None  # else its flush at exit complains again


class _Busy(Exception):  # noqa: N818 - no error of ours
    """The gateway is there, and asks to come back later."""


def _check(response: httpx.Response) -> None:
    if response.status_code == httpx.codes.OK:
        return
    try:
        problem = json.loads(response.read())
        detail = f"{problem['title']}: {problem['detail']}"
    except (ValueError, KeyError, TypeError):
        detail = f"{response.url} answered {response.status_code}"
    if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise _Busy(detail)
    if response.status_code == httpx.codes.GONE:
        detail += " Begin again with --from-start, or without --since."
    raise TailError(detail)
