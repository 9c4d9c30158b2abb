"""What can be told to a terminal: the downlink messages of the catalogue, with the schema of their bodies.

Must not know tables or layouts: `protocol.schema` derives what is shown from the row that encodes.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from gateway.api import models
from gateway.api.auth import needs
from gateway.api.commands import message_id
from gateway.api.problems import Problem
from gateway.api.terminals import json_response
from protocol.catalog import Row
from protocol.codec import Profile
from protocol.header import Edition
from protocol.messages import EDITIONS
from protocol.schema import example, schema

router = APIRouter(prefix="/api/v1/messages", tags=["commands"], dependencies=needs("read"))

OfEdition = Annotated[Edition, Query(description="2011, 2013 or 2019: that of the terminal")]


@router.get("", response_class=Response, responses=models.answer(models.MessageList))
async def list_messages(edition: OfEdition = Edition.V2019) -> Response:
    """The messages that a terminal of this edition can be sent."""
    rows = sorted(EDITIONS[edition].values(), key=lambda row: row.id)
    return json_response({"messages": [_told(row) for row in rows if not row.uplink]})


@router.get("/{message}", response_class=Response, responses=models.answer(models.MessageSchema, 404))
async def get_message(message: str, edition: OfEdition = Edition.V2019) -> Response:
    """One message: the JSON Schema of its body, with names in both languages, and an example."""
    row = Profile(edition).row(message_id(message))
    if row is None or row.uplink:
        raise Problem("not_found", f"There is no command {message}.")
    told = {"schema": schema(row.layout, title=row.title), "example": example(row.layout)}
    return json_response(_told(row) | told)


def _told(row: Row) -> dict[str, Any]:
    return {
        "id": f"{row.id:#06x}",
        "name": row.name,
        "title": row.title,
        "clause": row.clause,
        "answer": f"{row.answer:#06x}" if row.answer else None,
    }
