"""gateway/config.py: values, origins, and what is said about wrong ones."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import ConfigError, Settings, load, masked, origins


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in [name for name in os.environ if name.upper().startswith("JTGATE_")]:
        monkeypatch.delenv(name)


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "jtgate.toml"
    path.write_text(text, "utf-8")
    return path


def test_defaults_are_the_contract_s():
    settings = load()
    assert (settings.terminal_port, settings.evidence_port, settings.media_port) == (
        7808,
        7812,
        7078,
    )
    assert (settings.http_port, settings.host, settings.workers) == (8080, "127.0.0.1", 1)
    assert settings.database_url is None
    assert settings.registration == "open"
    assert settings.data_dir == Path("data")
    assert {origin.source for origin in origins(settings).values()} == {"default"}


def test_environment_wins_over_the_file_and_each_says_where_it_came_from(tmp_path, monkeypatch):
    path = write(tmp_path, 'terminal_port = 1\nhttp_port = 2\nregistration = "known"\n')
    monkeypatch.setenv("JTGATE_HTTP_PORT", "3")
    settings = load(path)
    assert (settings.terminal_port, settings.http_port) == (1, 3)
    shown = origins(settings)
    assert shown["terminal_port"] == (1, f"file {path}")
    assert shown["http_port"] == (3, "environment JTGATE_HTTP_PORT")
    assert shown["host"].source == "default"
    monkeypatch.setenv("JTGATE_CONFIG", str(path))
    assert load().registration == "known"


def test_an_empty_variable_is_an_unset_one(tmp_path, monkeypatch):
    monkeypatch.setenv("JTGATE_DATABASE_URL", "")
    monkeypatch.setenv("JTGATE_HTTP_PORT", "")
    monkeypatch.setenv("JTGATE_CONFIG", "")
    assert load().database_url is None
    assert load(write(tmp_path, "http_port = 5")).http_port == 5


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TERMINAL_PORT", "abc", "takes a port from 0 to 65535 (0: any free one), not 'abc'."),
        ("TERMINAL_PORT", "65536", "takes a port"),
        ("HTTP_PORT", "-1", "takes a port"),
        ("REGISTRATION", "closed", 'takes "open" or "known"'),
        ("UNAUTHENTICATED", "maybe", 'takes "refuse" or "accept"'),
        ("UNKNOWN_MESSAGE_RESULT", "2", "takes 0 (success) or 3 (not supported)"),
        ("STALL_LIMIT", "nan", "takes a number of seconds"),
        ("STALL_LIMIT", "0", "takes a number of seconds"),
        ("IDLE_TIMEOUT", "inf", "takes a number of seconds"),
        ("EVENT_DAYS", "0", "takes a number of days"),
        ("HOST", "a b", "takes an IP address or a host name"),
        ("WORKERS", "4", "takes 1: this version has one process"),
        ("NATS_URL", "nats://x", "takes no value"),
        ("DATABASE_URL", "mysql://h/x", "takes a URL such as postgresql://"),
        ("DATABASE_URL", "postgresql://h:99999/x", "takes a URL such as postgresql://"),
        ("LOG_LEVEL", "loud", "takes debug, info, warning or error"),
        ("LOCATION_DAYS", "10", "takes at least JTGATE_BACKFILL_DAYS (30)"),
    ],
)
def test_a_wrong_value_is_one_sentence_that_names_the_setting(monkeypatch, name, value, words):
    monkeypatch.setenv("JTGATE_" + name, value)
    with pytest.raises(ConfigError) as error:
        load()
    message = str(error.value)
    assert message.startswith(f"JTGATE_{name} takes ")
    assert words in message
    assert "\n" not in message
    assert message.endswith(".")


def test_a_wrong_value_in_the_file_names_the_file(tmp_path):
    path = write(tmp_path, 'http_port = "many"')
    with pytest.raises(ConfigError, match=r"^http_port takes a port .* not 'many'.*jtgate.toml"):
        load(path)


def test_unknown_settings_are_refused_with_the_nearest_name(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"^terminal_prot in .* did you mean terminal_port\?"):
        load(write(tmp_path, "terminal_prot = 1"))
    with pytest.raises(ConfigError, match=r"^server in .* is not a setting"):
        load(write(tmp_path, "[server]\nport = 1"))
    monkeypatch.setenv("JTGATE_HTPP_PORT", "1")
    with pytest.raises(ConfigError, match=r"^JTGATE_HTPP_PORT .* did you mean JTGATE_HTTP_PORT\?"):
        load()


@pytest.mark.parametrize(
    "name",
    ["SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_8080_TCP_ADDR"],
)
def test_variables_that_kubernetes_adds_are_no_settings_of_ours(monkeypatch, name):
    monkeypatch.setenv("JTGATE_" + name, "tcp://10.0.0.1:8080")
    load()


def test_a_file_that_is_not_there_or_no_toml(tmp_path):
    with pytest.raises(ConfigError, match="can't be read: No such file"):
        load(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        load(write(tmp_path, "a = = b"))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:s3cret@h:1/d", "postgresql://u:***@h:1/d"),
        ("postgresql://u:s3c@ret@h/d", "postgresql://u:***@h/d"),
        ("postgresql://h/d?user=u&password=s3cret&x=1", "postgresql://h/d?user=u&password=***&x=1"),
        ("host=h password=s3cret", "host=h password=***"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
    ],
)
def test_passwords_are_masked(monkeypatch, url, shown):
    assert masked(url) == shown
    if url.startswith("postgresql://"):
        assert origins(Settings(database_url=url))["database_url"].value == shown
    else:
        monkeypatch.setenv("JTGATE_DATABASE_URL", url)
        with pytest.raises(ConfigError) as error:
            load()
        assert "s3cret" not in str(error.value)


@given(st.text(max_size=40))
def test_masking_takes_any_text(text):
    masked(text)


def test_the_advertised_address_is_the_host_unless_set():
    assert Settings(host="10.0.0.1").advertised_address == "10.0.0.1"
    assert Settings(public_address="gate.example.org").advertised_address == "gate.example.org"
