"""Downlink messages and the schemas of their bodies."""

from __future__ import annotations

import pytest

from gateway.api import models
from protocol.codec import Profile
from protocol.header import Edition


async def test_the_list_has_what_the_edition_has(api):
    client = api.client("read")
    newest = (await client.get("/api/v1/messages")).json()
    models.MessageList.model_validate(newest)
    ids = [message["id"] for message in newest["messages"]]
    assert "0x8300" in ids and "0x8608" in ids and "0x0200" not in ids and ids == sorted(ids)
    oldest = (await client.get("/api/v1/messages?edition=2011")).json()
    assert "0x8608" not in [message["id"] for message in oldest["messages"]]
    assert (await client.get("/api/v1/messages?edition=2012")).status_code == 422


@pytest.mark.parametrize("edition", list(Edition))
async def test_every_example_is_a_body(api, edition):
    client = api.client("read")
    listed = (await client.get(f"/api/v1/messages?edition={int(edition)}")).json()["messages"]
    for message in listed:
        told = (await client.get(f"/api/v1/messages/{message['id']}?edition={int(edition)}")).json()
        models.MessageSchema.model_validate(told)
        assert told["schema"]["title"] == message["title"]
        assert isinstance(Profile(edition).encode(int(message["id"], 16), told["example"]), bytes)


@pytest.mark.parametrize(("message", "status"), [("0x0200", 404), ("0x8fff", 404), ("8300", 422)])
async def test_what_is_no_command(api, message, status):
    assert (await api.client("read").get(f"/api/v1/messages/{message}")).status_code == status
