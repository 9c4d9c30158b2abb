"""gateway/api/docs.py: a page that asks nobody else and believes no text."""

from html.parser import HTMLParser

from gateway.api import docs


async def test_the_document_and_the_page_ask_nobody_else(api):
    client = api.client(None)
    document = (await client.get("/api/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    page = await client.get("/api/docs")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["content-type"].startswith("text/html")
    found = []

    class Links(HTMLParser):
        def handle_starttag(self, tag, attributes):
            found.extend(value for name, value in attributes if name in ("src", "href"))
            assert tag != "script"

    Links().feed(page.text)
    assert set(found) == {"openapi.json"} | {link for link in found if link.startswith("#")}
    for path in document["paths"]:
        assert path in page.text


def test_texts_are_escaped():
    hostile = "<script>alert(1)</script>"
    operation = {
        "description": hostile,
        "tags": [hostile],
        "parameters": [
            {
                "name": hostile,
                "in": "query",
                "description": hostile,
                "schema": {"type": "string", "default": hostile, "enum": [hostile]},
            }
        ],
        "responses": {"200": {"description": hostile, "content": {hostile: {}}}},
    }
    document = {
        "info": {"title": hostile, "version": hostile, "description": hostile},
        "paths": {hostile: {"get": operation}},
        "components": {"schemas": {hostile: {"properties": {hostile: {"const": hostile}}}}},
    }
    assert "<script" not in docs.page(document)
