"""Pictures on demand of which parts are lost on their way."""

from __future__ import annotations

import random

from simulator.behaviour import Behaviour, Pieces
from simulator.identity import Config
from simulator.wire import envelopes, frames

MEDIA = 0x0801
SHARE = 0.3


class LosesParts(Behaviour):
    title = "loses parts of pictures (0x0801) until the platform asks for them"

    def __init__(self, config: Config, rng: random.Random) -> None:
        super().__init__(config, rng)
        self._lost: set[bytes] = set()

    def connected(self, now: float) -> None:
        self._lost.clear()

    def wire(self, data: bytes, now: float) -> Pieces | None:
        kept = [one for one in envelopes(data) if not self._loses(one)]
        return [(0.0, b"".join(kept))] if kept else []

    def _loses(self, envelope: bytes) -> bool:
        """Each packet once at the most: what is sent again arrives."""
        [packet] = frames(envelope)
        if int.from_bytes(packet[:2]) != MEDIA or envelope in self._lost or self.rng.random() > SHARE:
            return False
        self._lost.add(envelope)
        return True
