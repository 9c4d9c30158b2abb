"""Messages about where a terminal is: 0x0200, 0x8201/0x0201, 0x0704.

Tables, and the one list whose bounds devices get wrong (`spans`). The fixed part and its fast reader are in
`protocol/location.py`; the items of each dialect in files of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from construct import Construct, Rebuild, Struct, len_, this

from protocol.catalog import Catalog, Row, catalog, overlay
from protocol.composite import Composite, Sized, Walker, end_of
from protocol.fast import fixed
from protocol.fields import U8, U16, Codes, decode_time
from protocol.header import Edition
from protocol.items import Items, ItemTable, item_table
from protocol.location import LOCATION, MAX_COORDINATE, SIZE
from protocol.messages.guangdong import GUANGDONG_ITEMS
from protocol.messages.items import ITEMS_808
from protocol.messages.provinces import PROVINCE_ITEMS, TRACKER_ITEMS
from protocol.messages.safety import SAFETY_ITEMS
from protocol.messages.video import VIDEO_ITEMS

ITEMS: ItemTable = item_table(
    ITEMS_808, VIDEO_ITEMS, SAFETY_ITEMS, GUANGDONG_ITEMS, PROVINCE_ITEMS, TRACKER_ITEMS
)
"""Every reading of every additional item: lengths and sense decide between the dialects."""

REPORT = Struct(*LOCATION.subcons, "items" / Items(ITEMS) * "位置附加信息项列表: additional items")


def plausible(fields: Mapping[str, Any]) -> int:
    """How much a decoded report looks like one: a time, and coordinates on earth."""
    if not isinstance(fields.get("time"), int):
        return -6
    points = 2 if fields["latitude"] <= 90_000_000 and fields["longitude"] <= MAX_COORDINATE else 0
    return points + (1 if fields["heading"] <= 360 else 0)


# --- 0x0704 -------------------------------------------------------------------------------------------

_TIME = SIZE - 6
_WORD = 2


def spans(data: bytes) -> list[tuple[int, int]]:
    """Where the reports of a batch are: first byte and end of each, in `data` behind the fixed part.

    The standard has a length before each report. Some devices have one length and records of that size
    behind it; some count one length wrong, and the reports behind it are found again. Bytes in no span are
    a length, or behind the last span and of no report.
    """
    found: list[tuple[int, int]] = []
    at, end = 0, len(data)
    while at + _WORD <= end:
        stop = at + _WORD + int.from_bytes(data[at : at + _WORD])
        if stop > end:
            break
        found.append((at + _WORD, stop))
        at = stop
    if at == end:
        return found
    size = int.from_bytes(data[:_WORD])
    if size >= SIZE and (end - _WORD) % size == 0:
        starts = range(_WORD, end, size)
        if all(_dated(data, start) for start in starts):
            return [(start, start + size) for start in starts]
    return _mended(data) or found


def _dated(data: bytes, start: int) -> bool:
    return isinstance(decode_time(data[start + _TIME : start + SIZE]), int)


def _mended(data: bytes) -> list[tuple[int, int]]:
    """The spans of a batch with a wrong length in it; none where nothing behind it is sound.

    Sound is a report that is long enough and has a time. `leads_on` has the places from which sound lengths
    lead to the end; the bytes before the first of them belong to the report whose length is wrong.
    """
    end = len(data)
    leads_on, sound = {end: end}, []
    for at in range(end - _WORD - SIZE, -1, -1):
        stop = at + _WORD + int.from_bytes(data[at : at + _WORD])
        if stop >= at + _WORD + SIZE and stop in leads_on and _dated(data, at + _WORD):
            leads_on[at] = stop
            sound.append(at)
    found: list[tuple[int, int]] = []
    at = 0
    while (stop := at + _WORD + int.from_bytes(data[at : at + _WORD])) <= end:
        if stop < at + _WORD + SIZE or not _dated(data, at + _WORD):
            break
        found.append((at + _WORD, stop))
        at = stop
    again = next((place for place in reversed(sound) if place > at), None)
    if again is None:
        return []
    if found and not (again - at >= _WORD + SIZE and _dated(data, at + _WORD)):
        found[-1] = (found[-1][0], again)  # its length was too small
    else:
        found.append((min(at + _WORD, again - 1), again))
    while again < end:
        found.append((again + _WORD, leads_on[again]))
        again = leads_on[again]
    return found


class Reports(Composite):
    """The reports of a batch, each behind its length."""

    def __init__(self, element: Construct) -> None:
        super().__init__()
        self.element = element
        self._sized = Sized(U16, element)

    def walk(self, walker: Walker, context: Any, path: str) -> Any:
        data = walker.peek(walker.left)
        found: list[Any] = []
        at = 0
        for start, stop in spans(data):
            where = f"{path}[{len(found)}]"
            if start > at:
                announced = int.from_bytes(data[at:start])
                walker.skip(
                    start - at, f"{where}.length", announced, "位置汇报数据体长度: bytes of the report [byte]"
                )
            found.append(walker.within(stop - start, self.element, context, where))
            at = stop
        return found

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        here = stream.tell()
        data = stream.read(end_of(stream) - here)
        found = spans(data)
        stream.seek(here + found[-1][1] if found else here)
        return [self.element.parse(data[start:stop]) for start, stop in found]

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        for element in obj:
            self._sized._build(element, stream, context, path)
        return obj

    def shape(self, shape: Callable[[Construct], dict[str, Any]]) -> dict[str, Any]:
        return {"type": "array", "items": shape(self.element), "x-wire": "to the end, WORD n, n bytes"}

    def sample(self, example: Callable[[Construct], Any]) -> Any:
        return [example(self.element)]


_BATCH_HEAD = Struct(
    "count" / U16 * "数据项个数: reports in this message",
    "type" / Codes(U8, {0: "live", 1: "backfill"}) * "位置数据类型: live, or kept while there was no network",
)
BATCH = Struct(
    "count" / Rebuild(_BATCH_HEAD.count, len_(this.reports)) * "数据项个数: reports in this message",
    "type" / _BATCH_HEAD.type,
    "reports" / Reports(REPORT) * "位置汇报数据项: location reports",
)
_batch_head = fixed(_BATCH_HEAD)


def batch_bodies(body: bytes) -> tuple[int, list[bytes], bytes]:
    """Type, the bodies of the reports, and the bytes that belong to none, of a 0x0704.

    The number in front is not believed. A body may be shorter than the fixed part of a report.
    struct.error where `body` has no three bytes.
    """
    _, kind = _batch_head.unpack(body)
    data = body[_batch_head.size :]
    found = spans(data)
    return kind, [data[start:stop] for start, stop in found], data[found[-1][1] if found else 0 :]


# --- the tables ---------------------------------------------------------------------------------------

QUERY = Struct()

ANSWER_2011 = REPORT
ANSWER = Struct("reply_serial" / U16 * "应答流水号: serial of the query", *REPORT.subcons)

V2011 = catalog(
    Row(0x0200, "location", "位置信息汇报", REPORT, "808-2011 8.12 table 16", sense=plausible),
    Row(0x8201, "query_location", "位置信息查询", QUERY, "808-2011 8.13", 0x0201, acknowledged=False),
    # The table has no serial of the query; the editions after it do, and so do terminals of 2011.
    Row(
        0x0201,
        "location_answer",
        "位置信息查询应答",
        ANSWER_2011,
        "808-2011 8.14 table 24",
        sense=plausible,
    ),
)
V2013 = overlay(
    V2011,
    clauses={0x0200: "808-2013 8.18 table 23", 0x8201: "808-2013 8.19"},
    add=(
        Row(
            0x0201,
            "location_answer",
            "位置信息查询应答",
            ANSWER,
            "808-2013 8.20 table 33",
            sense=plausible,
        ),
        Row(0x0704, "location_batch", "定位数据批量上传", BATCH, "808-2013 8.49 tables 76 and 77"),
    ),
)
V2019 = overlay(
    V2013,
    clauses={
        0x0200: "808-2019 8.21 table 23",
        0x8201: "808-2019 8.22",
        0x0201: "808-2019 8.23 table 33",
        0x0704: "808-2019 8.48 tables 67 and 68",
    },
)

EDITIONS: dict[Edition, Catalog] = {Edition.V2011: V2011, Edition.V2013: V2013, Edition.V2019: V2019}
