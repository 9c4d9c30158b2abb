"""Additional items out of order, coded otherwise, or running over the end."""

from __future__ import annotations

from protocol.location import SIZE, Location
from simulator import bodies
from simulator.behaviour import Behaviour


class UnsortedItems(Behaviour):
    title = "items in any order"

    def draft(self, draft: Location, number: int) -> None:
        self.rng.shuffle(draft.items)


class DuplicateItems(Behaviour):
    title = "sends some items twice"

    def draft(self, draft: Location, number: int) -> None:
        draft.items += draft.items[::2]


class Coded(Behaviour):
    """Ids and lengths of items in other widths than one byte each."""

    id_bytes = 1
    length_bytes = 1

    def report(self, draft: Location) -> bytes:
        return bodies.report(draft)[:SIZE] + b"".join(
            item_id.to_bytes(self.id_bytes) + len(raw).to_bytes(self.length_bytes) + raw
            for item_id, raw in draft.items
        )


class Items21(Coded):
    title = "items with ids of two bytes"
    id_bytes = 2


class Items22(Coded):
    title = "items with ids and lengths of two bytes"
    id_bytes = length_bytes = 2


class Items14(Coded):
    title = "items with lengths of four bytes"
    length_bytes = 4


class OverrunItem(Behaviour):
    title = "the last item claims more bytes than there are"

    def draft(self, draft: Location, number: int) -> None:
        draft.left = bytes((0x51, 42)) + self.rng.randbytes(1 + number % 7)


class ZeroTail(Behaviour):
    title = "zeros behind the last item"

    def draft(self, draft: Location, number: int) -> None:
        draft.left = bytes(2 * (number % 40) + 1)
