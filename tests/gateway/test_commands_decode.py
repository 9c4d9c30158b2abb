"""`jtgate decode`, run as a command."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from gateway import commands_decode
from protocol import codec

ACK = "7e8001000501380013800000097d027d010200 00267e"
app = typer.Typer()
app.command()(commands_decode.decode)
run = CliRunner().invoke


def test_a_table_for_people() -> None:
    result = run(app, [ACK])
    assert result.exit_code == 0
    head, columns, *rows = result.output.splitlines()
    assert head == "0x8001 platform_ack 平台通用应答 2013 13800138000 808-2013 8.2 table 5"
    assert columns.split("\t") == list(commands_decode.COLUMNS)
    assert rows[4].split("\t")[:5] == ["12", "7e7d", "reply_serial", "应答流水号", "32381"]
    assert rows[5].split("\t")[2:5] == ["reply_id", "应答ID", "0x0200 (location 位置信息汇报)"]
    assert rows[6].split("\t")[4] == "0 (ok)"
    assert all(row.split("\t")[3] for row in rows)


def test_json_for_programs() -> None:
    result = run(app, [ACK, "--json"])
    told = json.loads(result.output)
    fields = told.pop("fields")
    assert told == codec.decode(ACK)
    assert "".join(field["bytes"] for field in fields) == "800100050138001380000009" + "7e7d" + "02000026"
    assert fields[6] == {
        "offset": 16,
        "bytes": "00",
        "field": "result",
        "title": "结果",
        "value": 0,
        "names": "ok",
        "unit": "",
        "meaning": "what became of it; 4 since 2013",
        "clause": "808-2013 8.2 table 5",
    }
    (line,) = run(app, ["-", "--json"], input=ACK).output.splitlines()
    assert json.loads(line) == told | {"fields": fields}


def test_a_frame_a_line_from_stdin() -> None:
    result = run(app, ["-"], input=f"{ACK}\n\nnonsense\n7e00\n{ACK}\n")
    assert result.exit_code == 0
    told = [json.loads(line) for line in result.output.splitlines()]
    assert [told[0], told[3]] == [codec.decode(ACK)] * 2
    assert (told[1]["line"], told[1]["given"]) == (3, "nonsense")
    assert "hex" in told[1]["error"]
    assert told[2]["faults"][0]["reason"] == "too_short"


def test_faults_are_told() -> None:
    result = run(app, [ACK.replace("267e", "277e")])
    assert result.output.splitlines()[-1] == "fault: checksum at 17: checksum 0x27 should be 0x26"


@pytest.mark.parametrize("arguments", [["xyz"], [ACK, "--edition", "2015"]])
def test_what_can_not_be_read(arguments: list[str]) -> None:
    result = run(app, arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_text_of_a_terminal_does_not_steer_the_screen() -> None:
    wire = codec.encode(0x0102, {"code": "\x1b[2J"}, "1", 0, 2013)
    result = run(app, [wire.hex()])
    assert "\x1b" not in result.output
    assert "\\x1b[2J" in result.output


def test_on_a_terminal_it_is_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "160")
    commands_decode.decode(ACK)
    assert "reply_serial" in capsys.readouterr().out
