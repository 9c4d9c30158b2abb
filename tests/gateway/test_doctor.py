"""gateway/doctor.py: each check says what it found and what to do."""

import resource
import socket

import pytest

from gateway import doctor
from gateway.config import Settings
from gateway.doctor import FAIL, OK, WARN, examine


@pytest.fixture
def free():
    """Settings with ports that are free."""

    def make(**fields):
        ports = {}
        for name in ("terminal_port", "evidence_port", "http_port"):
            with socket.create_server(("127.0.0.1", 0)) as probe:
                ports[name] = probe.getsockname()[1]
        return Settings(**(ports | fields))

    return make


async def checks(settings):
    return {check.name: check async for check in examine(settings)}


async def test_a_machine_in_order(free, database, tmp_path):
    found = await checks(free(database_url=database, data_dir=tmp_path))
    assert all(check.status in (OK, WARN) for check in found.values()), found
    assert "tables up to date" in found["database"].found
    assert "PostgreSQL" in found["database"].found


async def test_a_database_without_tables_and_one_that_is_away(free, blank_database):
    found = await checks(free(database_url=blank_database))
    assert found["database"].status == OK
    assert "jtgate migrate" in found["database"].advice
    away = await checks(free(database_url="postgresql://u:s3cret@127.0.0.1:1/x"))
    assert away["database"].status == FAIL
    assert "u:***@127.0.0.1:1" in away["database"].found
    assert "JTGATE_DATABASE_URL" in away["database"].advice


async def test_an_embedded_database_that_was_never_made(free, tmp_path):
    found = await checks(free(data_dir=tmp_path / "new"))
    assert found["database"].status == OK
    assert found["data folder"].status in (OK, WARN)
    assert "will be made" in found["data folder"].found
    assert not (tmp_path / "new").exists()


async def test_a_data_folder_that_is_a_file(free, tmp_path):
    (tmp_path / "file").write_text("")
    found = await checks(free(data_dir=tmp_path / "file" / "data"))
    assert found["data folder"].status == FAIL


async def test_ports_of_others_and_of_ourselves(free, api):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = await checks(free(terminal_port=port))
        assert found["terminal_port tcp"].status == FAIL
        assert found["terminal_port tcp"].advice == "Set JTGATE_TERMINAL_PORT."
        assert found["terminal_port udp"].status == OK
        found = await checks(free(terminal_port=port, http_port=api.server.port))
        assert found["http_port tcp"].status == OK
        assert "the gateway that runs" in found["http_port tcp"].found


async def test_an_address_of_another_machine(free):
    found = await checks(free(host="192.0.2.1"))
    assert found["http_port tcp"].status == FAIL
    assert found["http_port tcp"].advice == "Set JTGATE_HOST."


@pytest.mark.parametrize(("soft", "status"), [(256, FAIL), (4096, WARN), (65536, OK)])
def test_open_files(monkeypatch, soft, status):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, 100_000))
    check = doctor.open_files()
    assert check.status == status
    assert (check.advice == "") == (status == OK)


def test_local_addresses():
    assert doctor.local("0.0.0.0") == "127.0.0.1"
    assert doctor.local("::") == "[::1]"
    assert doctor.local("gate.example.org") == "gate.example.org"
