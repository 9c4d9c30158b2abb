"""Messages to and from the driver: texts, events, questions, information on demand, telephone.

Tables. The edition of 2019 took events, questions and information on demand out of its chapter 8 (its
foreword says so, though its annex B still lists the ids); a terminal of 2019 that sends them is read by the
tables of 2013. Where the edition of 2011 cuts a list into several messages it says how long all of it is;
since 2013 that is left to sub-packaging.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from construct import Construct, Default, Struct, len_, this

from protocol.catalog import Catalog, Row, catalog, overlay
from protocol.composite import Counted, Repeated, TextCounted, When
from protocol.fields import U8, U16, Bits, Codes, TextUpTo, bit, span
from protocol.header import Edition
from protocol.text import encode_text

# --- texts --------------------------------------------------------------------------------------------

_SHOW = (bit(2, "display"), bit(3, "tts", "read aloud"))
_SCREEN = bit(4, "advertising_screen")
_FAULT = bit(5, "can_fault", "a fault code of the CAN; 0: navigation by the centre")


def _text(flags: Bits, longest: int, *behind_flags: Construct) -> Struct:
    return Struct(
        "flags" / flags * "标志: how the text is shown",
        *behind_flags,
        "text" / TextUpTo(longest) * f"文本信息: at most {longest} bytes of GBK",
    )


TEXT_2011 = _text(Bits(U8, bit(0, "urgent"), *_SHOW, _SCREEN), 102)
TEXT_2013 = _text(Bits(U8, bit(0, "urgent"), *_SHOW, _SCREEN, _FAULT), 1024)
TEXT_2019 = _text(
    Bits(U8, span(0, 1, "kind", "1 service, 2 urgent, 3 notification"), *_SHOW, _FAULT),
    1024,
    "text_type" / Codes(U8, {1: "notification", 2: "service"}) * "文本类型: what the text is",
)

# --- lists that a terminal keeps ----------------------------------------------------------------------

CHANGES = {0: "delete_all", 1: "update", 2: "append", 3: "modify"}
"""What becomes of the list; an update deletes all that was there (808-2013 table 51)."""


Fields = tuple[Construct, ...]
Presence = Callable[[Construct], Construct]


def _always(field: Construct) -> Construct:
    return field


def _whole(name: str, entry: Struct, titles: tuple[str, str, str], presence: Presence = _always) -> Fields:
    """The list since 2013. `titles` are those of its length in all, of its length here, and its own."""
    entries = Counted("count" / U8 * f"{titles[0]}: entries that follow", entry)
    return (name / presence(entries) * f"{titles[2]}: the entries",)


def _in_parts(name: str, entry: Struct, titles: tuple[str, str, str], presence: Presence = _always) -> Fields:
    """The list of 2011, which may be spread over several messages."""
    total = Default(U8, len_(this[name]))
    entries = Counted("count" / U8 * f"{titles[1]}: entries in this message", entry)
    return (
        "total" / presence(total) * f"{titles[0]}: entries in all the messages",
        name / presence(entries) * f"{titles[2]}: the entries",
    )


def of_all(entries: str) -> Callable[[Mapping[str, Any]], int]:
    """How much a reading of 2011 looks like one: some of the entries that there are in all.

    A body of 2013 that is broken can be read as one of 2011 without entries, for ids begin with zeros.
    """

    def points(fields: Mapping[str, Any]) -> int:
        here, total = len(fields.get(entries) or ()), fields.get("total") or 0
        return 0 if 0 < here <= total or here == total else -12

    return points


_CHANGE = "type" / Codes(U8, CHANGES) * "设置类型: what becomes of the list in the terminal"

EVENT = Struct(
    "id" / U8 * "事件ID: number of the event; one that the terminal has is overwritten",
    "content"
    / Default(TextCounted("length" / U8 * "事件内容长度: bytes that follow [byte]"), "")
    * "事件内容: empty to delete",
)
_EVENTS = ("events", EVENT, ("设置总数", "包设置个数", "事件项列表"))
_EVENT_CHANGE = (
    "type"
    / Codes(U8, CHANGES | {4: "delete"})
    * "设置类型: what becomes of the events; 0 is followed by nothing"
)


def _unless_all(field: Construct) -> Construct:
    return When(this.type != 0, field, "type is not delete_all")


EVENTS_2011 = Struct(_EVENT_CHANGE, *_in_parts(*_EVENTS, _unless_all))
EVENTS_2013 = Struct(_EVENT_CHANGE, *_whole(*_EVENTS, _unless_all))

EVENT_REPORT = Struct("event_id" / U8 * "事件ID: the event that the driver chose")

MENU_ITEM = Struct(
    "type" / U8 * "信息类型: kind of information; one that the terminal has is overwritten",
    "name"
    / TextCounted("length" / U16 * "信息名称长度: bytes that follow [byte]")
    * "信息名称: as the menu shows it",
)
_MENU = ("items", MENU_ITEM, ("信息项总数", "包信息项个数", "信息项列表"))
MENU_2011 = Struct(_CHANGE, *_in_parts(*_MENU))
MENU_2013 = Struct(_CHANGE, *_whole(*_MENU))

CONTACT = Struct(
    "flag" / Codes(U8, {1: "incoming", 2: "outgoing", 3: "both"}) * "标志: calls that are allowed",
    "phone"
    / TextCounted("length" / U8 * "号码长度: bytes that follow [byte]")
    * "电话号码: telephone number",
    "name"
    / TextCounted("length" / U8 * "联系人长度: bytes that follow [byte]")
    * "联系人: name of the contact",
)
_CONTACTS = ("contacts", CONTACT, ("联系人总数", "包联系人个数", "联系人项"))
PHONE_BOOK_2011 = Struct(_CHANGE, *_in_parts(*_CONTACTS))
PHONE_BOOK_2013 = Struct(_CHANGE, *_whole(*_CONTACTS))

# --- questions, information, calls ----------------------------------------------------------------------

QUESTION = Struct(
    "flags" / Bits(U8, bit(0, "urgent"), bit(3, "tts", "read aloud"), _SCREEN) * "标志: how it is shown",
    "question" / TextCounted("length" / U8 * "问题内容长度: bytes that follow [byte]") * "问题: the question",
    "answers"
    / Repeated(
        Struct(
            "id" / U8 * "答案ID: number of the answer",
            "content"
            / TextCounted("length" / U16 * "答案内容长度: bytes that follow [byte]")
            * "答案内容: the answer",
        )
    )
    * "候选答案列表: answers to choose from",
)
QUESTION_ANSWER = Struct(
    "reply_serial" / U16 * "应答流水号: serial of the question",
    "answer_id" / U8 * "答案ID: the answer that the driver chose",
)

INFORMATION_REQUEST = Struct(
    "type" / U8 * "信息类型: kind of information",
    "action" / Codes(U8, {0: "cancel", 1: "request"}) * "点播/取消标志: whether it is wanted from now on",
)


def _content_length(fields: Any) -> int:
    return len(encode_text(fields.content))


INFORMATION_2011 = Struct(
    "type" / U8 * "信息类型: kind of information",
    "total" / Default(U16, _content_length) * "信息总长度: length of it in all the messages [byte]",
    "content" / TextCounted("length" / U16 * "包信息长度: length of it here [byte]") * "信息内容: the text",
)
INFORMATION_2013 = Struct(
    "type" / U8 * "信息类型: kind of information",
    "content" / TextCounted("length" / U16 * "信息长度: bytes that follow [byte]") * "信息内容: the text",
)

CALL_BACK = Struct(
    "flag" / Codes(U8, {0: "call", 1: "monitor"}) * "标志: monitored calls are silent in the vehicle",
    "phone" / TextUpTo(20, padded=True) * "电话号码: number to call, at most 20 bytes",
)

# --- the tables ---------------------------------------------------------------------------------------

V2011 = catalog(
    Row(0x8300, "send_text", "文本信息下发", TEXT_2011, "808-2011 8.16 tables 26 and 27"),
    Row(
        0x8301,
        "set_events",
        "事件设置",
        EVENTS_2011,
        "808-2011 8.17 tables 28 and 29",
        sense=of_all("events"),
    ),
    Row(0x0301, "event_report", "事件报告", EVENT_REPORT, "808-2011 8.18 table 30"),
    # The terminal acknowledges the question at once; 0x0302 follows when the driver has answered.
    Row(0x8302, "ask_question", "提问下发", QUESTION, "808-2011 8.19 tables 31 to 33", 0x0302),
    Row(0x0302, "question_answer", "提问应答", QUESTION_ANSWER, "808-2011 8.20 table 34", acknowledged=False),
    Row(
        0x8303,
        "set_information_menu",
        "信息点播菜单设置",
        MENU_2011,
        "808-2011 8.21 tables 35 and 36",
        sense=of_all("items"),
    ),
    Row(0x0303, "information_request", "信息点播/取消", INFORMATION_REQUEST, "808-2011 8.22 table 37"),
    Row(
        0x8304,
        "information_service",
        "信息服务",
        INFORMATION_2011,
        "808-2011 8.23 table 38",
        sense=of_all("content"),
    ),
    Row(0x8400, "call_back", "电话回拨", CALL_BACK, "808-2011 8.24 table 39"),
    Row(
        0x8401,
        "set_phone_book",
        "设置电话本",
        PHONE_BOOK_2011,
        "808-2011 8.25 tables 40 and 41",
        sense=of_all("contacts"),
    ),
)
V2013 = overlay(
    V2011,
    clauses={
        0x0301: "808-2013 8.25 table 41",
        0x8302: "808-2013 8.26 tables 42 to 44",
        0x0302: "808-2013 8.27 table 45",
        0x0303: "808-2013 8.29 table 48",
        0x8400: "808-2013 8.31 table 50",
    },
    add=(
        Row(0x8300, "send_text", "文本信息下发", TEXT_2013, "808-2013 8.23 tables 37 and 38"),
        Row(0x8301, "set_events", "事件设置", EVENTS_2013, "808-2013 8.24 tables 39 and 40"),
        Row(0x8303, "set_information_menu", "信息点播菜单设置", MENU_2013, "808-2013 8.28 tables 46 and 47"),
        Row(0x8304, "information_service", "信息服务", INFORMATION_2013, "808-2013 8.30 table 49"),
        Row(0x8401, "set_phone_book", "设置电话本", PHONE_BOOK_2013, "808-2013 8.32 tables 51 and 52"),
    ),
)
V2019 = overlay(
    V2013,
    remove=(0x8301, 0x0301, 0x8302, 0x0302, 0x8303, 0x0303, 0x8304),
    clauses={0x8400: "808-2019 8.28 table 39", 0x8401: "808-2019 8.29 tables 40 and 41"},
    add=(Row(0x8300, "send_text", "文本信息下发", TEXT_2019, "808-2019 8.27 tables 37 and 38"),),
)

EDITIONS: dict[Edition, Catalog] = {Edition.V2011: V2011, Edition.V2013: V2013, Edition.V2019: V2019}
