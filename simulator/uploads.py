"""Uploads on real sockets: the thin shell around `simulator/evidence.py`.

One task for each terminal that has something to upload, and a bound on how many are connected at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from simulator.evidence import Uploader

CONNECTIONS = 256
PATIENCE = 20.0  # s without an answer after which a terminal hangs up and tries again
READ = 1 << 16


class Uploads:
    """All uploads of a fleet."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tasks: dict[Uploader, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(CONNECTIONS)

    def __len__(self) -> int:
        """Terminals that have something to upload."""
        return len(self._tasks)

    def start(self, uploader: Uploader) -> None:
        """Sees to it that `uploader` is worked off; to be told whenever it has got something to do."""
        if uploader not in self._tasks:
            self._tasks[uploader] = asyncio.get_running_loop().create_task(self._run(uploader))

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()

    async def _run(self, uploader: Uploader) -> None:
        try:
            while uploader.busy:
                async with self._room:
                    await self._connection(uploader)
                if uploader.busy:
                    await asyncio.sleep(uploader.pause)
        finally:
            self._tasks.pop(uploader, None)

    async def _connection(self, uploader: Uploader) -> None:
        writer = None
        try:
            async with asyncio.timeout(PATIENCE):
                reader, writer = await asyncio.open_connection(*uploader.address)
            uploader.connected()
            while True:
                while data := uploader.data_to_send():
                    writer.write(data)
                    async with asyncio.timeout(PATIENCE):
                        await writer.drain()
                if uploader.hang_up:
                    break
                async with asyncio.timeout(PATIENCE):
                    data = await reader.read(READ)
                if not data:
                    break
                uploader.receive(data, self._clock())
        except OSError:  # TimeoutError is one; so is a name that can't be resolved
            pass
        finally:
            if writer is not None:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
            uploader.disconnected()
