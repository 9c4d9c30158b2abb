"""Sockets: segments, resets, and a terminal that does not read."""

from __future__ import annotations

import asyncio
import socket

from gateway import tcp
from tests.gateway.rig import Terminal, fetch, location, running


async def test_segments_of_one_byte_and_many_frames_in_one(database):
    async with running(database) as worker:
        terminal = await Terminal(worker).enter()
        terminal.link.send(0x0200, location(1), 0.0)
        for byte in terminal.link.data_to_send():
            terminal.writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await terminal.receive()).id == 0x8001
        for second in range(2, 52):
            terminal.link.send(0x0200, location(second), 0.0)
        terminal.writer.write(terminal.link.data_to_send())
        for _ in range(50):
            await terminal.receive()
        assert len(await fetch(database, "SELECT FROM locations")) == 51


async def test_a_reset_in_the_middle_of_a_frame_hurts_nobody(database):
    async with running(database) as worker:
        one, other = await Terminal(worker).enter(), await Terminal(worker, "13800000002").enter()
        one.writer.write(b"~\x02\x00")
        await one.writer.drain()
        raw = one.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        one.writer.transport.abort()
        for _ in range(100):
            if len(worker.registry) == 1:
                break
            await asyncio.sleep(0.02)
        assert len(worker.registry) == 1
        assert await other.result(0x0200, location()) == 0


async def test_a_terminal_that_does_not_read_is_closed(database, monkeypatch):
    monkeypatch.setattr(tcp, "WRITE_DEADLINE", 0.3)
    async with running(database) as worker:
        terminal = await Terminal(worker).enter()
        terminal.writer.transport.pause_reading()
        raw = terminal.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        heartbeats = []
        for _ in range(2000):
            terminal.link.send(0x0002, b"", 0.0)
            heartbeats.append(terminal.link.data_to_send())
        block = b"".join(heartbeats)
        for _ in range(400):
            if not len(worker.registry):
                break
            terminal.writer.write(block)
            await asyncio.sleep(0.02)
        assert len(worker.registry) == 0
        terminal.writer.transport.abort()


async def test_a_frame_that_never_ends_is_bounded_and_closed_in_time(database):
    async with running(database, preauth_timeout=1) as worker:
        terminal = await Terminal(worker).connect()
        terminal.writer.write(b"~" + b"\x11" * 200_000)
        await asyncio.sleep(0.2)
        [session] = list(worker.registry)
        assert session.link._splitter.buffered <= 4096
        assert worker.counters.faults["too_long"] == 1
        assert await terminal.closed(4)
