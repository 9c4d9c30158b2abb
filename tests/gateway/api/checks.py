"""What several tests of the API ask of answers."""

import asyncio

PROBLEM = "application/problem+json"
LIMIT = 15.0  # s


def problem(response, status, name):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == PROBLEM
    document = response.json()
    assert document["type"] == "urn:jtgate:problem:" + name
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    assert document["request_id"] == response.headers["x-request-id"]
    return document


async def until(condition):
    """Wait until a condition holds."""
    async with asyncio.timeout(LIMIT):
        while not condition():
            await asyncio.sleep(0.01)
