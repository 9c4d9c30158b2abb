"""gateway/api/app.py: the routes of the contract, request ids, the OpenAPI document."""

import json
import re

from gateway.api.app import build
from gateway.api.context import Context


def routes():
    """Method, path and scope of every route of the document (scope None: without a key)."""
    document = build(Context(*[None] * 5)).openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            (scope,) = operation["security"][0]["key"] if "security" in operation else (None,)
            yield method.upper(), path, scope


ROUTES = list(routes())


def test_every_route_of_the_contract_is_there_with_its_scope():
    assert set(ROUTES) == {
        ("GET", "/healthz", None),
        ("GET", "/readyz", None),
        ("GET", "/metrics", None),
        ("GET", "/api/v1/terminals", "read"),
        ("GET", "/api/v1/terminals/{phone}", "read"),
        ("PUT", "/api/v1/terminals/{phone}", "terminals:write"),
        ("DELETE", "/api/v1/terminals/{phone}", "terminals:write"),
        ("GET", "/api/v1/terminals/{phone}/locations", "read"),
        ("POST", "/api/v1/terminals/{phone}/commands", "commands"),
        ("GET", "/api/v1/terminals/{phone}/commands", "read"),
        ("GET", "/api/v1/commands/{command_id}", "read"),
        ("GET", "/api/v1/messages", "read"),
        ("GET", "/api/v1/messages/{message}", "read"),
        ("GET", "/api/v1/alarms", "read"),
        ("GET", "/api/v1/alarms/{alarm_id}", "read"),
        ("GET", "/api/v1/alarms/{alarm_id}/evidence", "read"),
        ("GET", "/api/v1/alarms/{alarm_id}/evidence/{n}", "read"),
        ("GET", "/api/v1/alarms/{alarm_id}/evidence/{n}/blocks", "read"),
        ("GET", "/api/v1/events", "events"),
        ("GET", "/api/v1/events/stream", "events"),
    }


async def test_a_request_id_is_taken_if_it_is_harmless(api):
    client = api.client()
    response = await client.get("/healthz", headers={"X-Request-Id": "abc-1"})
    assert response.headers["x-request-id"] == "abc-1"
    response = await client.get("/healthz", headers={"X-Request-Id": "a b\t{}" * 40})
    assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"])


def test_the_document_is_consistent():
    text = json.dumps(document := build(Context(*[None] * 5)).openapi())
    for name in re.findall(r'"#/components/schemas/(\w+)"', text):
        assert name in document["components"]["schemas"]
    ids = [o["operationId"] for p in document["paths"].values() for o in p.values()]
    assert len(ids) == len(set(ids))


async def test_the_schema_that_events_name_is_served(api):
    schema = (await api.client(None).get("/api/schemas/alarm.v1.json")).json()
    assert schema["$id"] == "/api/schemas/alarm.v1.json"
    assert schema["properties"]["alarm_id"]["type"] == "string"
