"""gateway/api/server.py: bounds of a connection, and its end."""

import asyncio
import logging
import socket
import time

import pytest

from gateway.api import server
from tests.gateway.api.checks import until


async def send(api, data, patience=5.0):
    """What the server answers to raw bytes until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.server.port)
    try:
        writer.write(data)
        async with asyncio.timeout(patience):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def test_a_head_that_does_not_come_or_does_not_end_is_cut(api, monkeypatch):
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.2)
    for data in (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX-A: ", b"\r\n\r\n"):
        before = time.monotonic()
        assert await send(api, data) == b""
        assert time.monotonic() - before < 2
    # between two requests of a connection as well
    reader, writer = await asyncio.open_connection("127.0.0.1", api.server.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"200 OK" in await reader.readuntil(b'"ok"}')
    writer.write(b"GET / HT")
    async with asyncio.timeout(2):
        assert await _rest(reader) == b""
    writer.close()


async def _rest(reader):
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


async def test_a_long_head_is_refused(api):
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: "
    assert b"200 OK" in await send(api, request + b"a" * 30_000 + b"\r\nConnection: close\r\n\r\n")
    for filler in (b"a" * 300_000, b"a\r\nX-B: " * 40_000):
        assert b"200 OK" not in await send(api, request + filler)


async def test_a_slow_answer_is_not_cut_by_the_deadline_of_heads(api, monkeypatch):
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.2)
    response = await api.client().get("/api/v1/events?cursor=latest&wait=0.6")
    assert response.status_code == 200


@pytest.mark.parametrize(
    "data",
    [
        b"\x7e\x02\x00\x00\x7e\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /api/v1/terminals HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ],
)
async def test_garbage_is_a_400_and_no_error_in_the_log(api, data, caplog):
    assert (await send(api, data)).startswith(b"HTTP/1.1 400")
    assert not [entry for entry in caplog.records if entry.levelno >= logging.ERROR]


async def test_the_server_closes_in_time_with_idle_and_stalled_peers(api, caplog):
    peers = [socket.create_connection(("127.0.0.1", api.server.port)) for _ in range(3)]
    peers[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    peers[1].sendall(b"GET /hea")
    await until(lambda: len(api.server.connections) == 3)
    before = time.monotonic()
    await api.server.close()
    assert time.monotonic() - before < 2
    assert not [entry for entry in caplog.records if entry.levelno >= logging.ERROR]
    for peer in peers:
        peer.close()


async def test_a_port_that_is_taken_is_an_os_error(api):
    from gateway.api.app import build

    with pytest.raises(OSError, match="in use"):
        await server.serve(build(api.context), "127.0.0.1", api.server.port)
