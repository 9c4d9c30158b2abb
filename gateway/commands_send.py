"""`jtgate send`: a command to a terminal, through the API of a running gateway.

A client of the public API and nothing more.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from gateway.config import load
from gateway.doctor import local
from gateway.failure import Failure


def send(
    phone: Annotated[str, typer.Argument(help="Phone number of the terminal.")],
    message: Annotated[str, typer.Argument(help="Id of the message, such as 0x8104.")],
    body: Annotated[str, typer.Option(help="Its fields as JSON.")] = "{}",
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the answer.")] = 10.0,
    ttl: Annotated[float, typer.Option(help="Seconds for which it may wait for the terminal.")] = 0.0,
    key: Annotated[str | None, typer.Option(help="API key; unset: that of the data folder.")] = None,
    url: Annotated[str | None, typer.Option(help="The gateway; unset: the one of the settings.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with settings.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on one line.")] = False,
) -> None:
    """Send a command and print what became of it.

    Ends with 0 where the terminal did as it was told, 1 otherwise.

    Example: jtgate send 13800000001 0x8300 --body '{"flags": ["tts"], "text": "请休息"}'
    """
    fields = _fields(body)
    settings = load(config)
    found = _post(
        url or f"http://{local(settings.host)}:{settings.http_port}",
        key or _key(settings.admin_key_file),
        phone,
        {"message": message, "body": fields, "timeout": timeout, "ttl": ttl},
    )
    typer.echo(json.dumps(found, ensure_ascii=False, indent=None if as_json else 2))
    raise typer.Exit(0 if found["state"] in ("acknowledged", "answered", "queued") else 1)


def _fields(body: str) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except ValueError as error:
        raise typer.BadParameter(f"no JSON: {error}", param_hint="--body") from None
    if not isinstance(fields, dict):
        raise typer.BadParameter("takes a JSON object", param_hint="--body")
    return fields


def _key(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        raise Failure(f"There is no key in {path}: name one with --key.") from None


def _post(url: str, key: str, phone: str, asked: dict[str, Any]) -> dict[str, Any]:
    try:
        with httpx.Client(base_url=url, timeout=asked["timeout"] + 30, trust_env=False) as client:
            response = client.post(
                f"/api/v1/terminals/{phone}/commands", json=asked, headers={"Authorization": f"Bearer {key}"}
            )
    except httpx.HTTPError as error:
        raise Failure(f"{url} can't be reached: {error}.") from None
    found: dict[str, Any] = response.json()
    if response.status_code >= 400:
        raise Failure(found.get("detail") or f"The gateway answers {response.status_code}.")
    return found
