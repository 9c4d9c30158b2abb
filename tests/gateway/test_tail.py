"""gateway/tail.py: the stream on standard output, through interruptions."""

import asyncio
import json
import socket
import sys
import threading
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from gateway.api.app import build
from gateway.api.server import serve
from gateway.tail import Frame, TailError, follow, frames, line
from storage import keys
from tests.gateway.conftest import write

LIMIT = 15.0


@asynccontextmanager
async def tail(api, *arguments, key=None):
    """`jtgate tail` as a process, with its output piped."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", "tail"),
        *("--url", f"http://127.0.0.1:{api.server.port}", "--key", key or api.keys["events"]),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(LIMIT):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_events_are_json_lines_and_filters_are_the_gateway_s(api):
    await write(api.pool, 1, kind="fatigue", phone="1")
    await write(api.pool, 2, kind="fatigue", phone="2")
    await write(api.pool, 3, kind="overspeed", phone="1")
    arguments = ("--from-start", "--kind", "fatigue", "--phone", "01")
    async with tail(api, *arguments) as process:
        assert json.loads(await process.stdout.readline())["id"] == "1"
        await write(api.pool, 4, kind="fatigue", phone="1")
        api.stream.wake()
        assert json.loads(await process.stdout.readline())["id"] == "4"


async def test_a_reader_of_the_pipe_that_ends_is_no_error(api):
    await write(api.pool, *range(10))
    async with tail(api, "--from-start") as process:
        await process.stdout.readline()
        process._transport.get_pipe_transport(1).close()
        while process.returncode is None:
            await write(api.pool, 1)
            await asyncio.sleep(0.02)
        assert process.returncode == 0
        assert await process.stderr.read() == b""


@pytest.mark.parametrize(
    ("arguments", "key", "words"),
    [
        ((), "jtk_wrong", "A valid API key is needed"),
        ((), "read", "The key lacks the scope: This needs the scope events."),
        (("--since", "yesterday"), None, "since: takes an RFC 3339 time"),
        (("--phone", "x"), None, "phone: takes 1 to 20 digits"),
    ],
)
async def test_what_the_gateway_refuses_is_one_sentence(api, arguments, key, words):
    async with tail(api, *arguments, key=api.keys.get(key, key)) as process:
        said = (await process.stderr.read()).decode()
        await process.wait()
    assert words in said
    assert said.count("\n") == 1
    assert said.startswith("jtgate: ")
    assert process.returncode == 1


async def test_it_reconnects_where_it_was(api):
    """The gateway restarts on its port while events go on."""
    await write(api.pool, *range(5))
    async with tail(api, "--from-start") as process:
        found = [json.loads(await process.stdout.readline())["id"] for _ in range(5)]
        port = api.server.port
        await api.server.close()
        await write(api.pool, *range(5, 10))
        server = await serve(build(api.context), "127.0.0.1", port)
        try:
            found += [json.loads(await process.stdout.readline())["id"] for _ in range(5)]
        finally:
            await server.close()
        process.kill()
        notices = (await process.stderr.read()).decode()
    assert found == [str(n) for n in range(10)]
    assert "trying again" in notices


async def test_a_gateway_that_is_not_there():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(TailError, match="can't be reached"):
        next(follow(f"http://127.0.0.1:{port}", "k", {}, notice=print))


def test_a_busy_gateway_is_asked_again_ever_later():
    answer = b"HTTP/1.1 503 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_all():
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    peer.recv(4096)
                    peer.sendall(answer)

        thread = threading.Thread(target=answer_all, daemon=True)
        thread.start()
        delays = []

        def sleep(seconds):
            delays.append(seconds)
            if len(delays) == 6:
                raise KeyboardInterrupt

        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(KeyboardInterrupt):
            next(follow(url, "k", {}, notice=lambda text: None, sleep=sleep))
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    assert delays == [0.5, 1, 2, 4, 8, 10]


def test_frames():
    lines = [": hello", "retry: 2000", "", "id: c1.1.1", "event: a", "data: {}", "", "data:x", ""]
    assert list(frames(lines)) == [Frame("c1.1.1", "a", "{}"), Frame("", "", "x")]


def test_a_line_for_people(monkeypatch):
    data = SimpleNamespace(
        phone="13800138000", kind="fatigue", level=2, occurred_at="2026-11-22T21:44:03+08:00",
        position={"wgs84": [114.057865, 22.543096]}, speed_kmh=63.5, backfilled=True,
    )  # fmt: skip
    event = {"type": "alarm.raised", "time": "2026-11-22T13:44:04Z", "data": vars(data)}
    text = line(json.dumps(event))
    for word in ("13800138000", "alarm.raised", "fatigue", "level 2", "22.543096,114.057865"):
        assert word in text
    assert text.endswith("63.5 km/h  (back-filled)")
    bare = {"type": "vehicle.online", "time": "2026-11-22T13:44:04Z", "subject": "terminal/1"}
    assert " 1 " in line(json.dumps(bare))
    hostile = event | {"data": vars(data) | {"kind": "\x1b[2J\nforged"}}
    assert "\x1b" not in line(json.dumps(hostile))
    assert "\n" not in line(json.dumps(hostile))


async def test_a_key_that_is_revoked_ends_it(api):
    async with tail(api, "--from-start") as process:
        await write(api.pool, 1)
        await process.stdout.readline()
        async with api.pool.acquire() as connection:
            await keys.revoke(connection, api.keys["events"].split("_")[1])
        n = 0
        while process.returncode is None:
            await write(api.pool, n := n + 1)
            api.stream.wake()
            await asyncio.sleep(0.05)
        assert process.returncode == 1
        assert "A valid API key is needed" in (await process.stderr.read()).decode()
