"""The shapes of requests and answers, as OpenAPI shows them.

Answers are rendered from dictionaries; tests hold them against these models. Requests are checked
by them. Must not know routes or storage.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Request
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from gateway.api.problems import Problem as ProblemError

M = TypeVar("M", bound=BaseModel)

MAX_BODY = 64 << 10  # bytes of a request
BODY_SECONDS = 10.0  # to send it


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Position(Model):
    wgs84: tuple[float, float] = Field(description="longitude and latitude, degrees")
    altitude_m: int


class Item(Model):
    id: str = Field(description="such as 0x01")
    raw: str = Field(description="hexadecimal")
    name: str | None = None
    value: Any = None
    dialect: str | None = None


class Location(Model):
    time: AwareDatetime = Field(description="device time; see time_quality")
    received_at: AwareDatetime
    position: Position
    speed_kmh: float
    heading: int = Field(description="degrees, clockwise from north")
    backfilled: bool = Field(description="sent later, as the terminal had no connection")
    time_quality: Literal["good", "unreadable", "stale", "future"] = Field(
        description="other than good: the device time was not believed, time is that of reception"
    )
    alarm_word: int = Field(description="alarm bits as sent (JT/T 808 table 24)")
    status_word: int = Field(description="status bits as sent (JT/T 808 table 25)")
    alarms: list[str] = Field([], description="names of the alarm bits that are set")
    status: list[str] = Field([], description="names of the status bits that are set")
    items: list[Item] = Field([], description="additional items, in the order sent")
    queried: bool = Field(False, description="the answer to a query (0x0201)")
    absurd_position: bool = Field(
        False, description="coordinates beyond the earth were sent; position is 0, 0"
    )


class Track(Model):
    locations: list[Location]
    next_cursor: str | None


class Connection(Model):
    since: AwareDatetime
    transport: Literal["tcp", "udp"]
    address: str
    edition: int | None
    last_seen: AwareDatetime


class Terminal(Model):
    phone: str
    state: Literal["provisioned", "active", "blocked"]
    edition: int | None = Field(description="2011, 2013 or 2019, as last seen")
    province: int | None
    city: int | None
    maker: str | None
    model: str | None
    terminal_no: str | None
    plate: str | None
    plate_color: int | None
    note: str | None
    has_code: bool = Field(description="an authentication code was issued")
    created_at: AwareDatetime
    registered_at: AwareDatetime | None
    authenticated_at: AwareDatetime | None
    connected_at: AwareDatetime | None = Field(description="when the last connection began")
    disconnected_at: AwareDatetime | None = Field(description="when the last connection ended")
    last_address: str | None
    connection: Connection | None = Field(description="null: not connected")
    location: Location | None = Field(description="the last position")


class TerminalPage(Model):
    terminals: list[Terminal]
    next_cursor: str | None


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("takes printable characters")
    return text


Text = Annotated[str, Field(max_length=64), AfterValidator(_printable)]
Word = Annotated[int, Field(ge=0, le=0xFFFF)]


class TerminalFields(Model):
    """What a PUT may set; a field that is not given stays as it is, null empties it."""

    state: Literal["provisioned", "active", "blocked"] | None = None
    province: Word | None = None
    city: Word | None = None
    maker: Text | None = None
    model: Text | None = None
    terminal_no: Text | None = None
    plate: Text | None = None
    plate_color: Annotated[int, Field(ge=0, le=255)] | None = None
    note: Annotated[str, Field(max_length=1000)] | None = None
    reset_code: bool = Field(
        False, description="forget the authentication code: the terminal has to register again"
    )


class EvidenceFile(Model):
    n: int
    name: str = Field(description="as the terminal has it")
    media_type: str | None = Field(description="told by its content")
    bytes: int
    sha256: str | None
    url: str


class Evidence(Model):
    expected: int
    received: int
    files: list[EvidenceFile] = Field([], description="those that are whole")
    added: int | None = Field(None, description="in alarm.evidence.added: which file came")
    missing: int | None = Field(None, description="in alarm.evidence.failed")
    summary: str | None = Field(None, description="in alarm.evidence.failed: 3 of 5, 2 missing")
    reason: str | None = Field(None, description="in alarm.evidence.failed")


class EvidenceItem(Model):
    n: int
    name: str = Field(description="as the terminal has it")
    state: Literal["expected", "partial", "complete", "failed"]
    type: int | None = Field(description="as the terminal says")
    bytes: int = Field(description="announced")
    received: int
    media_type: str | None = Field(description="told by its content")
    sha256: str | None
    reason: str | None = Field(description="why it was refused")
    url: str | None
    link: str | None = Field(description="opens without a key for 15 minutes")
    link_expires_at: AwareDatetime | None


class EvidenceList(Model):
    alarm_id: str
    expected: int
    received: int
    files: list[EvidenceItem]


class BlockFault(Model):
    offset: int
    path: str
    detail: str


class VehicleStates(Model):
    blocks: list[dict[str, Any]] = Field(description="T/JSATL 12 table 4-22")
    rest: str
    faults: list[BlockFault]


class Alarm(Model):
    alarm_id: str
    rev: int = Field(description="counts the changes of one alarm")
    kind: str
    family: str
    level: int = Field(description="0: the source has none")
    state: Literal["open", "ended", "momentary"]
    phone: str
    occurred_at: AwareDatetime
    received_at: AwareDatetime
    committed_at: AwareDatetime | None = Field(None, description="not in events: they carry time")
    ended_at: AwareDatetime | None = None
    end_reason: str | None = None
    duration_s: int | None = None
    backfilled: bool
    position: Position
    speed_kmh: float
    source: str
    code: int
    details: dict[str, Any]
    raw: str = Field(description="the item as sent, hexadecimal")
    evidence: Evidence


class AlarmPage(Model):
    alarms: list[Alarm]
    next_cursor: str | None


class CommandRequest(Model):
    message: str = Field(description="id of a downlink message, such as 0x8104", examples=["0x8104"])
    body: dict[str, Any] = Field({}, description="its fields, by the names that `jtgate decode` shows")
    timeout: float = Field(10.0, gt=0, le=120, description="seconds from sending to the answer")
    ttl: float = Field(
        0.0, ge=0, le=7 * 86400, description="seconds for which it waits for a terminal that is not connected"
    )


class Command(Model):
    id: str
    phone: str
    message: str
    body: dict[str, Any]
    state: Literal["queued", "sent", "acknowledged", "answered", "refused", "timed_out", "expired"]
    result: int | None = Field(description="of the terminal's general acknowledgement")
    reason: str | None
    answer_message: str | None
    answer: Any = Field(None, description="fields of the answer")
    timeout: float
    created_at: AwareDatetime
    expires_at: AwareDatetime
    sent_at: AwareDatetime | None
    acknowledged_at: AwareDatetime | None
    answered_at: AwareDatetime | None
    ended_at: AwareDatetime | None


class Message(Model):
    id: str = Field(description="such as 0x8104")
    name: str
    title: str = Field(description="Chinese name")
    clause: str = Field(description="of the standard")
    answer: str | None = Field(description="the message that answers it, where it is not an acknowledgement")


class MessageList(Model):
    messages: list[Message]


class MessageSchema(Message):
    body_schema: dict[str, Any] = Field(alias="schema", description="JSON Schema of the body")
    example: dict[str, Any]


class CommandPage(Model):
    commands: list[Command]
    next_cursor: str | None


class Envelope(Model):
    """An event: CloudEvents 1.0, structured mode."""

    specversion: Literal["1.0"]
    id: str = Field(description="the same on every delivery: what to drop doubles by")
    source: str
    type: str
    subject: str | None = None
    time: AwareDatetime
    datacontenttype: Literal["application/json"]
    dataschema: str | None = None
    cursor: str
    partitionkey: str | None = None
    data: dict[str, Any]


class EventPage(Model):
    events: list[Envelope]
    next_cursor: str
    has_more: bool


class Problem(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str | None = None


class Health(Model):
    status: Literal["ok"]


class Readiness(Model):
    ready: bool
    reasons: list[str]


def answer(model: type[BaseModel], *problems: int) -> dict[int | str, dict[str, Any]]:
    """For `responses=` of a route: what it answers, and which problems of its own it has."""
    return {200: {"model": model}, **{status: {"model": Problem} for status in problems}}


def event_stream() -> dict[int | str, dict[str, Any]]:
    frame = "id: CURSOR\nevent: TYPE\ndata: ENVELOPE\n\n"
    content = {"text/event-stream": {"schema": {"type": "string"}, "example": frame}}
    return {200: {"description": "Server-sent events", "content": content}, 410: {"model": Problem}}


def request_body(model: type[BaseModel]) -> dict[str, Any]:
    """For `openapi_extra=` of a route that reads its body by `read_body`."""
    content = {"application/json": {"schema": model.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


async def read_body(request: Request, model: type[M]) -> M:
    """The request's JSON, read only now: after the key was checked, and bounded."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > MAX_BODY:
                    raise ProblemError("body_too_large", f"At most {MAX_BODY} bytes.")
        return model.model_validate_json(bytes(body))
    except TimeoutError:
        raise ProblemError("invalid_request", "The body did not arrive in time.") from None
    except ValidationError as error:
        errors = [
            {
                "in": "body",
                "name": ".".join(str(part) for part in found["loc"]),
                "message": found["msg"].removeprefix("Value error, "),
            }
            for found in error.errors(include_url=False, include_input=False)
        ]
        detail = ": ".join(filter(None, [errors[0]["name"], errors[0]["message"]]))
        raise ProblemError("invalid_request", detail, errors=errors) from None
