"""The page at /api/docs: the OpenAPI document as plain HTML, made here and without any script.

A page that fetches its viewer from elsewhere would not open in the networks where this runs. Must
know nothing but the document.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any

POLICY = "default-src 'none'; style-src 'unsafe-inline'"

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #1c2733; background: #fff }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #d5dce3 }
summary { cursor: pointer; padding: .35rem 0 } details { border-bottom: 1px solid #eef1f4 }
details > div { padding: 0 0 1rem 1.2rem }
code, pre { font: 13px/1.45 ui-monospace, monospace; background: #f3f5f7; border-radius: 3px }
code { padding: .1em .3em } pre { padding: .7rem; overflow: auto }
table { border-collapse: collapse; width: 100% }
td { padding: .2rem .8rem .2rem 0; vertical-align: top; border-top: 1px solid #eef1f4 }
.m { display: inline-block; min-width: 4.2em; font-weight: 600 } .s { color: #5b6b7b }
@media (prefers-color-scheme: dark) { body { color: #dbe3ea; background: #12181f }
  code, pre { background: #1d2630 } h2, details, td { border-color: #2b3743 } .s { color: #93a3b3 } }
"""


def page(document: dict[str, Any]) -> str:
    """The whole page for an OpenAPI 3.1 document."""
    title = escape(document["info"]["title"])
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width'>",
        f"<title>{title}</title><style>{STYLE}</style>",
        f"<h1>{title} <span class=s>{escape(document['info']['version'])}</span></h1>",
        f"<p>{escape(document['info'].get('description', ''))}</p>",
        "<p class=s>As a document for programs: <a href=openapi.json>openapi.json</a></p>",
    ]
    by_tag: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            tag = operation.get("tags", ["other"])[0]
            by_tag.setdefault(tag, []).append("".join(_operation(method, path, operation)))
    for tag, rendered in by_tag.items():
        parts += [f"<h2>{escape(tag)}</h2>", *rendered]
    parts.append("<h2>schemas</h2>")
    for name, schema in document.get("components", {}).get("schemas", {}).items():
        parts.append(
            f"<details id='{escape(name)}'><summary><code>{escape(name)}</code></summary>"
            f"<div>{''.join(_schema(schema))}</div></details>"
        )
    return "".join(parts) + "</html>"


def _operation(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    description = operation.get("description", "")
    first = description.split("\n")[0]
    yield f"<details><summary><span class=m>{method.upper()}</span><code>{escape(path)}</code>"
    yield f" <span class=s>{escape(first)}</span></summary><div>"
    for paragraph in description.split("\n\n"):
        yield f"<p>{escape(paragraph)}</p>"
    scopes = [scope for entry in operation.get("security", []) for scope in entry.get("key", [])]
    if "security" in operation:
        yield f"<p class=s>Needs a key with the scope <code>{escape(', '.join(scopes))}</code>.</p>"
    yield _table(
        (
            f"<code>{escape(parameter['name'])}</code>",
            escape(parameter["in"]) + (", required" if parameter.get("required") else ""),
            _type(parameter.get("schema", {})),
            escape(parameter.get("description", "")),
        )
        for parameter in operation.get("parameters", [])
    )
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"<p>Body: <code>{escape(media)}</code></p>"
        yield from _schema(content["schema"])
    yield _table(
        (
            escape(status),
            escape(response.get("description", "")),
            " ".join(
                f"<code>{escape(media)}</code> {_type(content.get('schema', {}))}"
                for media, content in response.get("content", {}).items()
            ),
        )
        for status, response in operation.get("responses", {}).items()
    )
    yield "</div></details>"


def _schema(schema: dict[str, Any]) -> Iterator[str]:
    if "description" in schema:
        yield f"<p>{escape(schema['description'])}</p>"
    required = schema.get("required", [])
    yield _table(
        (
            f"<code>{escape(name)}</code>",
            "" if name in required else "optional",
            _type(field),
            escape(field.get("description", "")),
        )
        for name, field in schema.get("properties", {}).items()
    )


def _table(rows: Any) -> str:
    text = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{text}</table>" if text else ""


def _type(schema: dict[str, Any]) -> str:
    if reference := schema.get("$ref"):
        name = escape(reference.rpartition("/")[2])
        return f"<a href='#{name}'>{name}</a>"
    if choices := schema.get("anyOf"):
        return " or ".join(_type(choice) for choice in choices)
    if values := schema.get("enum"):
        return " or ".join(f"<code>{escape(json.dumps(value))}</code>" for value in values)
    if "const" in schema:
        return f"<code>{escape(json.dumps(schema['const']))}</code>"
    text = escape(str(schema.get("format", schema.get("type", "any"))))
    if text == "array":
        items = schema.get("prefixItems") or [schema.get("items", {})]
        text = "list of " + ", ".join(_type(item) for item in items)
    limits = [
        escape(f"{word} {schema[key]}")
        for key, word in (("minimum", "from"), ("maximum", "to"), ("maxLength", "up to"))
        if key in schema
    ]
    if "default" in schema and schema["default"] not in (None, []):
        limits.append(f"default {escape(json.dumps(schema['default']))}")
    return f"{text} <span class=s>{', '.join(limits)}</span>" if limits else text
