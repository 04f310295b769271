"""mcp drain, access, whatif, events, sessions --abort and explain's drawing against the real northbound."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from steering.cli import client
from steering.cli.commands.events import ReceivedEvent, events
from steering.cli.drawing import draw
from steering.cli.main import main
from steering.core.inputs import AccessChanged, McpAdmin
from steering.model.control import WhatIf
from steering.model.ids import McpId
from steering.model.network import NetworkAccessType, Trust
from tests.support.commands import Run, failing
from tests.support.fixed_answers import DECISION, HEAD, SUBFLOWS
from tests.support.fixed_view import FixedView, north
from tests.support.noted_control import Noted
from tests.support.rest_server import state_directory
from tests.support.timed_requests import timed_requests


@pytest.fixture
def control() -> Noted:
    return Noted()


@pytest.fixture
def state_dir(tmp_path: Path, control: Noted) -> Iterator[Path]:
    yield from state_directory(
        tmp_path / "state", north(FixedView(), control=control, heartbeat=0.05).application
    )


@pytest.mark.row("D-6.7.7")
def test_an_mcp_is_registered_changed_and_removed(
    run: Run, control: Noted, tmp_path: Path, capsys: pytest.CaptureFixture[str], state_dir: Path
) -> None:
    file = tmp_path / "fresh.yaml"
    file.write_text("name: fresh\nport: s4:9\n")
    assert run("mcp", "add", str(file)) == "fresh is registered; kept over restarts\n"
    assert run("mcp", "remove", "edge") == "edge is removed, 2 sessions end; kept over restarts\n"
    told = run("mcp", "remove", "core", "--force")
    assert told.endswith("the site file names it: after a restart it is as written there\n")
    file.write_text("name: core\nport: s4:9\n")
    assert run("mcp", "change", str(file)).startswith("core is changed; ")
    assert control.asked == [
        ("name: fresh\nport: s4:9\n", None), ("edge", False), ("core", True), ("name: core\nport: s4:9\n", "core"),
    ]  # fmt: skip
    file.write_text("name: wrong\n")
    assert main(["mcp", "add", str(file), "--state-dir", str(state_dir)]) == 2
    assert f"{file}: name: not so" in capsys.readouterr().err


def test_an_order_that_may_wait_behind_a_policy_is_waited_for_as_long(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "core.yaml"
    file.write_text("name: core\nport: s4:9\n")
    timed = timed_requests(monkeypatch)
    run("mcp", "change", str(file))
    run("mcp", "remove", "edge")
    long = client.AGREED_TIMEOUT
    assert timed == [("GET", client.TIMEOUT), ("PUT", long), ("DELETE", long)]


def test_an_mcp_is_drained_and_back(run: Run, control: Noted) -> None:
    assert run("mcp", "drain", "core") == "core gets no new sessions; those it has go on\n"
    assert json.loads(run("mcp", "undrain", "core", "--json")) == {
        "name": "core",
        "draining": False,
        "changed": True,
    }
    assert control.given == [McpAdmin(McpId(7), True), McpAdmin(McpId(7), False)]


@pytest.mark.row("D-6.3e")
def test_access_is_listed_and_set(run: Run, control: Noted) -> None:
    assert "cellular" in run("access")
    assert run("access", "set", "lte", "--trust", "third-party") == "lte is cellular, third-party, update 1\n"
    assert json.loads(run("access", "set", "lte", "--type", "wlan", "--json"))["sequence"] == 2
    assert control.given == [
        AccessChanged("lte", NetworkAccessType.CELLULAR, Trust.THIRD_PARTY),
        AccessChanged("lte", NetworkAccessType.WLAN, Trust.THIRD_PARTY),
    ]
    assert [
        found["sequence"] for found in json.loads(run("access", "list", "--json"))["access_networks"]
    ] == [2, 0]


def test_what_if(run: Run, control: Noted) -> None:
    out = run("whatif", "--from", "10.1.0.2", "--to", "10.9.0.2", "--port", "443")
    assert "outcome       proxy, MCP core" in out
    assert "rule          gold" in out
    assert control.asked == [WhatIf(bytes((10, 1, 0, 2)), bytes((10, 9, 0, 2)), 443, None, 1)]
    told = json.loads(
        run("whatif", "--from", "fd00:1::2", "--to", "fd00:9::2", "--port", "80", "--access", "lte", "--json")
    )
    assert told["winner"] == "core"


def test_a_session_is_aborted_only_by_an_id(state_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, line = failing(capsys, "sessions", "--abort", "m-77", "--state-dir", str(state_dir))
    assert (status, line) == (1, "steering: no session 'm-77'\n")


def test_an_abort_says_what_became_of_each_end(run: Run) -> None:
    assert run("sessions", "--abort", "m-1").splitlines() == [
        "session m-1 is ended",
        "  host 10.1.0.2:40000: its connection is gone",
        "  server 10.9.0.2:80: never answered; its connection may live on",
    ]
    assert json.loads(run("sessions", "--abort", "m-1", "--json"))["over"] is True


def test_events_are_followed(run: Run) -> None:
    told = [
        json.loads(line) for line in run("events", "--mcp", "core", "--count", "3", "--json").splitlines()
    ]
    assert [(event["kind"], event["data"]["name"]) for event in told] == [
        ("access", "lte"),
        ("access", "wlan"),
        ("drain", "core"),
    ]
    out = run("events", "--mcp", "core", "--kind", "drain", "--count", "1")
    assert out.split(" ", 1)[1].split() == ["drain", "name=core", "draining=no"]


def test_events_of_one_controller_are_asked_for(
    run: Run, state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "--controller", "c2", "--state-dir", str(state_dir)]) == 2
    assert "this is no cluster" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["events", "--controller", "c2", "--mcp", "core", "--state-dir", str(state_dir)])


def test_a_stream_is_read_event_by_event() -> None:
    lines = [
        "retry: 1000", "", "id: a-1", "event: policy", 'data: {"version":2}', "", ": still here", "",
        "data: no json", "", 'data:{"x":1}', "", "event: cut",
    ]  # fmt: skip
    assert list(events(lines)) == [
        ReceivedEvent("a-1", "policy", {"version": 2}),
        ReceivedEvent("", "message", {"x": 1}),
    ]


EMPTY = "an empty file"


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["mcp", "drain"], 2, "drain which MCP?"),
        (["mcp", "list", "core"], 2, "list takes no NAME"),
        (["mcp", "drain", "none"], 1, "no MCP 'none'"),
        (["mcp", "stop", "core"], 2, "invalid choice"),
        (["mcp", "remove", "none"], 1, "no MCP 'none'"),
        (["mcp", "remove", "core"], 1, "2 sessions at MCP 'core'"),
        (["mcp", "drain", "core", "--force"], 2, "--force is of remove alone"),
        (["mcp", "add", "/nowhere.yaml"], 2, "cannot be read"),
        (["mcp", "change", "/dev/null"], 2, "it is a device"),
        (["mcp", "change", EMPTY], 2, "names no MCP"),
        (["access", "set", "lte"], 2, "set wants NAME and --type or --trust"),
        (["access", "--type", "wlan"], 2, "did you mean 'steering access set'"),
        (["access", "set", "mars", "--type", "wlan"], 1, "no access network 'mars'"),
        (
            ["whatif", "--from", "10.1.0", "--to", "10.9.0.2", "--port", "1"],
            2,
            "source: an IP address is wanted",
        ),
        (["whatif", "--from", "10.1.0.2", "--to", "fd00::1", "--port", "1"], 2, "of one address family"),
        (["whatif", "--from", "10.1.0.2", "--to", "10.9.0.2", "--port", "0"], 2, "a port from 1"),
        (["sessions", "--abort", "1", "--mcp", "core"], 2, "takes nothing else"),
        (["sessions", "--token", "xyz"], 2, "8 hex digits"),
        (["events", "--mcp", "none"], 1, "no MCP 'none'"),
        (["events", "--count", "0"], 2, "a whole number"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    words: list[str], status: int, said: str, state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (state_dir / EMPTY).touch()
    named = [str(state_dir / word) if word == EMPTY else word for word in words]
    ended, line = failing(capsys, *named, "--state-dir", str(state_dir))
    assert (ended, said in line) == (status, True), line


# ---- the drawing -------------------------------------------------------------------------------


def test_a_session_is_drawn(run: Run) -> None:
    lines = run("explain", "m-1").splitlines()
    assert lines[:6] == [
        "session m-1, established, 2 subflows, MPTCP version 1, token 92c53b6f",
        "",
        "  10.1.0.2:40000 ------ lte, s1 ---- initial, natural path ------+",
        "                                                                 +=== core --- 10.9.0.2:80",
        "  [fd00:2::2]:40001 --- wlan, s2 --- join, redirected, backup ---+",
        "",
    ]  # fmt: skip


@pytest.mark.parametrize("many", [0, 1, 2, 3, 9])
def test_every_drawing_is_one_picture(many: int) -> None:
    session: dict[str, Any] = {**HEAD, "subflows": (SUBFLOWS * 5)[:many]}
    decision = {**DECISION, "candidates": [{**DECISION["candidates"][0], "port": "s3:1"}]}
    lines = draw(session, decision)[2:]
    trunks = [line for line in lines if line.endswith("=== core, s3:1 --- 10.9.0.2:80")]
    assert len(trunks) == 1
    assert len(lines) == (many + 1 if many > 1 else 1)
    if many:
        assert len({line.index("+") for line in lines}) == 1
