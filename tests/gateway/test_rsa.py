"""Keys exchanged, bodies opened and sealed, over a real session."""

from __future__ import annotations

import asyncio
import stat

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.commands import Order
from gateway.rsa import load_or_make
from protocol import cipher
from protocol.header import RSA, Edition
from storage.commands import State
from tests.gateway.rig import Terminal, fetch, location, running


def test_the_pair_is_made_once_for_its_owner(tmp_path):
    path = tmp_path / "data" / "rsa.pem"
    made = load_or_make(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_make(path).private_numbers() == made.private_numbers()


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\nxx\n-----END PRIVATE KEY-----\n"])
def test_a_file_without_a_key_is_a_sentence(tmp_path, content):
    path = tmp_path / "rsa.pem"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"rsa.pem holds no private key"):
        load_or_make(path)


async def keys_of(terminal: Terminal) -> tuple[rsa.RSAPublicKey, rsa.RSAPrivateKey]:
    """The platform's key, told by 0x8A00, and the terminal's, told by 0x0A00."""
    told = await terminal.receive()
    assert told.id == 0x8A00
    mine = rsa.generate_private_key(65537, 1024)
    terminal.send(0x0A00, terminal.profile.encode(0x0A00, cipher.key_fields(mine)))
    return cipher.public_key(terminal.profile.decode(0x8A00, told.body).fields), mine


@pytest.mark.parametrize("edition", [Edition.V2013, Edition.V2019])
async def test_reports_and_commands_under_rsa(database, tmp_path, edition):
    async with running(database, rsa="seal", data_dir=tmp_path) as worker:
        terminal = await Terminal(worker, edition=edition).enter()
        theirs, mine = await keys_of(terminal)
        body = location(3, items=bytes.fromhex("0104000003e8"))
        terminal.link.send(0x0200, cipher.encrypt(body, theirs), 0.0, encryption=RSA)
        terminal.writer.write(terminal.link.data_to_send())
        assert (await terminal.receive()).body[2:] == b"\2\0\0"
        [row] = await fetch(database, "SELECT items FROM locations")
        assert row["items"] == bytes.fromhex("0104000003e8")

        order = Order("13800000001", 0x8300, {"flags": 1, "text": "机密"} | extra(edition), "test")
        asked = asyncio.create_task(worker.commands.submit(order))
        told = await terminal.receive()
        assert told.encryption == RSA
        assert cipher.decrypt(told.body, mine).endswith("机密".encode("gbk"))
        terminal.send(0x0001, told.serial.to_bytes(2) + told.id.to_bytes(2) + b"\0")
        assert (await asked).state == State.ACKNOWLEDGED


def extra(edition: Edition) -> dict:
    return {"text_type": 1} if edition is Edition.V2019 else {}


async def test_what_can_not_be_opened_is_kept_and_answered_alike(database, tmp_path):
    async with running(database, rsa="read", data_dir=tmp_path) as worker:
        terminal = await Terminal(worker).enter()
        await keys_of(terminal)
        for body, encryption in ((bytes(128), RSA), (b"odd", RSA), (location(), 0x0800)):
            terminal.link.send(0x0200, body, 0.0, encryption=encryption)
            terminal.writer.write(terminal.link.data_to_send())
            assert (await terminal.receive()).body[2:] == b"\2\0\0"
        rows = await fetch(database, "SELECT reason FROM rejected")
        assert [row["reason"] for row in rows] == 3 * ["encrypted"]


async def test_a_key_that_is_none_is_counted(database, tmp_path):
    async with running(database, rsa="read", data_dir=tmp_path) as worker:
        terminal = await Terminal(worker).enter()
        assert (await terminal.receive()).id == 0x8A00
        terminal.send(0x0A00, bytes(132))
        terminal.send(0x0A00, b"x")
        assert await terminal.result(0x0002) == 0
        assert worker.counters.faults["rsa_key"] == 2
