"""The UDP listener of terminals: datagrams to sessions and back.

A terminal is known by the phone number of its frames, for its address changes whenever a NAT forgets it;
answers go to where its last datagram came from. A datagram may hold several frames, and never a part of
one: what is left over is a fault, not the beginning of the next.
"""

from __future__ import annotations

import asyncio
from typing import cast

from gateway.registry import Registry
from gateway.session import Session
from protocol.frame import Splitter
from protocol.header import parse, phone_text

MAX_PENDING = 100_000
"""UDP terminals at a time: nothing ends such a session but silence."""


class _Peer:
    """One UDP terminal's transport."""

    def __init__(self, endpoint: TerminalDatagrams, phone: str, place: tuple[str, int]) -> None:
        self.kind = "udp"
        self.phone = phone
        self.place = place
        self.session: Session
        self._endpoint = endpoint
        self._paused = False

    @property
    def address(self) -> str:
        return self.place[0]

    def write(self, data: bytes) -> None:
        self._endpoint.send(data, self.place)

    def close(self) -> None:
        self._endpoint.forget(self)

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False

    def receive(self, data: bytes) -> None:
        """A datagram that comes while reading is paused is dropped: the terminal sends it again."""
        if not self._paused:
            self.session.receive(data)


class TerminalDatagrams(asyncio.DatagramProtocol):
    """The socket of all UDP terminals."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._peers: dict[str, _Peer] = {}
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        phone = _phone(data)
        if phone is None:
            self._registry.services.counters.faults["datagram"] += 1
            return
        peer = self._peers.get(phone)
        if peer is None:
            if len(self._peers) >= MAX_PENDING:
                self._registry.services.counters.faults["refused_connection"] += 1
                return
            peer = _Peer(self, phone, (addr[0], addr[1]))
            session = self._registry.open(peer)
            if session is None:
                return
            peer.session = session
            self._peers[phone] = peer
        peer.place = (addr[0], addr[1])
        # The delimiter ends whatever this datagram left unfinished, so that the next one starts clean.
        peer.receive(data if data.endswith(b"~") else data + b"~")

    def send(self, data: bytes, place: tuple[str, int]) -> None:
        self._transport.sendto(data, place)

    def forget(self, peer: _Peer) -> None:
        if self._peers.get(peer.phone) is peer:
            del self._peers[peer.phone]
            self._registry.lost(peer.session)


def _phone(data: bytes) -> str | None:
    """The phone number of the first good frame in a datagram."""
    for frame in Splitter().feed(data if data.endswith(b"~") else data + b"~"):
        if isinstance(frame, bytes) and (header := parse(frame)) is not None:
            return phone_text(header.phone)
    return None


async def listen(registry: Registry, host: str, port: int) -> asyncio.DatagramTransport:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: TerminalDatagrams(registry), local_addr=(host, port)
    )
    return transport
