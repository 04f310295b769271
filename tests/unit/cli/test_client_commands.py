"""status, sessions, explain and mcp against the real northbound on a real loopback server."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from steering.cli.main import main
from steering.model.view import SessionFilter
from tests.support.commands import Run, cells
from tests.support.fixed_view import FixedView

# ---- what people read --------------------------------------------------------------------------


def test_status(run: Run) -> None:
    out = run("status")
    assert "ok, version 0.1.0 at http://127.0.0.1:" in out
    assert "up 3m12s, policy version 3" in out
    assert "3 of 4 connected" in out
    assert "2 established, 1 syn-pinned\n" in out
    assert "1 of 2 links up, 1 of 2 attachments up, 1 host known" in out
    assert "refused     switch 000000000000004d (unknown-switch, 3 times)" in out
    assert "4 of 4 switches, 2 of 2 links, 2 of 2 attachments, 2 of 2 MCPs are there" in out
    assert "\nmissing" not in out and "\nunknown" not in out
    assert cells(out, "core")[1:3] == ["off-path", "2"]


def hour_ago(seconds: float) -> str:
    """The hour in UTC that it was so long ago, as `status` writes it."""
    return f"{datetime.fromtimestamp(time.time() - seconds, UTC):%d %b %H:}"


def test_status_lists_what_is_missing_and_since_when_and_says_so_in_its_exit_status(
    state_dir: Path, view: FixedView, capsys: pytest.CaptureFixture[str], in_tokyo: None
) -> None:
    lost: tuple[tuple[str, str, str | None, bool, float], ...] = (
        ("switch", "s9", None, True, 42.0), ("link", "s2:4-s4:3", None, False, 192.0),
        ("attachment", "lte", "s1:1", False, 7.0), ("mcp", "core", "s3:1", False, 3.0),
    )  # fmt: skip
    names = ("kind", "name", "port", "never_seen", "missing_s")
    view.missing = [dict(zip(names, one, strict=True)) for one in lost]
    view.unknown = [{"name": "0" * 15 + "7", "dpid": "0" * 15 + "7", "connected": True}]
    view.alarms = [{"alarm": "fallbacks-mcp", "name": "core", "text": "9 of 20 fell back", "raised_s": 61.0}]
    hours = [hour_ago(192)]
    assert main(["status", "--state-dir", str(state_dir)]) == 1
    hours.append(hour_ago(192))  # another one, once an hour
    out = capsys.readouterr().out
    assert "alarm       fallbacks-mcp core: 9 of 20 fell back, for 1m01s" in out
    assert "3 of 4 switches, 1 of 2 links, 1 of 2 attachments, 1 of 2 MCPs are there" in out
    assert "missing     switch s9, for 42s, not seen since the controller started\n" in out
    assert any(f"missing     link s2:4-s4:3, for 3m12s, since {hour}" in out for hour in hours)
    assert re.search(r"3m12s, since .*:\d\dZ$", out, re.M)
    assert "missing     attachment lte (s1:1), for 7s, since " in out
    assert "missing     MCP core (s3:1), for 3s, since " in out
    assert "unknown     switch 0000000000000007: it is connected, and the site file does not name it" in out
    assert main(["status", "--json", "--state-dir", str(state_dir)]) == 1
    assert json.loads(capsys.readouterr().out)["status"] == view.status()


def test_mcp(run: Run) -> None:
    out = run("mcp")
    assert cells(out, "core")[-5:] == ["2", "3", "yes", "-", "-"]
    assert "interception" not in out and "interception" in run("mcp", "-o", "wide")
    assert cells(out, "edge")[-3] == "no"
    assert "off-path (is on-path)" in out


def test_sessions(run: Run, view: FixedView) -> None:
    out = run("sessions")
    assert cells(out, "id") == ["id", "state", "MCP", "client", "server", "subflows", "age"]
    row = ["established", "core", "10.1.0.2:40000", "10.9.0.2:80", "2", "3m20s"]
    assert cells(out, "m-1")[1:] == row
    assert "100 of 2500 sessions; --after 100 goes on" in out
    assert view.asked == [(0, 100, SessionFilter())]
    assert cells(run("sessions", "-o", "wide"), "m-1")[1:] == [*row[:2], "92c53b6f", *row[2:]]


def test_a_list_goes_on_where_it_ended(run: Run, view: FixedView) -> None:
    first = json.loads(run("sessions", "--json", "--limit", "3"))
    more = json.loads(run("sessions", "--json", "--limit", "3", "--after", first["next"]))
    assert [one["id"] for one in more["sessions"]] == ["m-4", "m-5", "m-6"]
    assert json.loads(run("sessions", "--json", "--after", "2499"))["next"] is None


def test_only_sessions_that_began_lately(run: Run, view: FixedView) -> None:
    ages = [one["age_s"] for one in json.loads(run("sessions", "--json", "--limit", "2500"))["sessions"]]
    since = json.loads(run("sessions", "--json", "--limit", "2500", "--since", "201s"))["sessions"]
    assert len(since) == len([age for age in ages if age <= 201]) > 0
    view.asked.clear()
    assert run("sessions", "--since", "1s", "--mcp", "core") == "no such session\n"
    assert len(view.asked) <= 3, "whole pages are looked through"
    assert len(since) > 5
    first = json.loads(run("sessions", "--json", "--limit", "5", "--since", "201s"))
    assert first["sessions"] == since[:5]
    more = json.loads(run("sessions", "--json", "--limit", "5", "--since", "201s", "--after", first["next"]))
    assert more["sessions"] == since[5:10], "the list goes on where it ended"


def test_sessions_are_fetched_in_pages_up_to_the_limit(run: Run, view: FixedView) -> None:
    body = json.loads(run("sessions", "--json", "--limit", "2100"))
    assert [asked[:2] for asked in view.asked] == [(0, 1000), (1000, 1000), (2000, 100)]
    assert [found["id"] for found in body["sessions"]] == [f"m-{number}" for number in range(1, 2101)]
    assert body["total"] == 2500


def test_sessions_are_filtered(run: Run, view: FixedView) -> None:
    body = json.loads(run("sessions", "--json", "--mcp", "edge", "--state", "established", "--limit", "5"))
    assert {found["mcp"] for found in body["sessions"]} == {"edge"}
    assert view.asked == [(0, 5, SessionFilter("edge", "established"))]
    assert run("sessions", "--state", "plain") == "no such session\n"


def test_no_sessions(run: Run, view: FixedView) -> None:
    view.count = 0
    assert run("sessions") == "no session\n"


def test_one_session(run: Run) -> None:
    out = run("sessions", "m-1")
    assert cells(out, "token") == ["token", "92c53b6f"]
    assert cells(out, "MPTCP") == ["MPTCP", "version", "1"]
    assert cells(out, "decision") == ["decision", "d-1"]
    assert cells(out, "10.1.0.2:40000")[1:] == [
        "10.9.0.2:80", "initial", "lte", "natural", "no",
    ]  # fmt: skip
    assert cells(out, "[fd00:2::2]:40001")[1:] == [
        "[fd00:9::2]:80", "join", "wlan", "redirected", "yes",
    ]  # fmt: skip
    assert cells(run("sessions", "m-1", "-o", "wide"), "10.1.0.2:40000")[-4:] == ["s1", "2", "0", "no"]


def test_one_session_of_which_little_is_known(run: Run) -> None:
    out = run("sessions", "m-2")
    assert cells(out, "token") == ["token", "-"]
    assert cells(out, "MPTCP") == ["MPTCP", "unknown"]


@pytest.mark.parametrize("wanted", ["m-1", "d-1"])
def test_explain(run: Run, wanted: str) -> None:
    out = run("explain", wanted)
    assert "d-1, 20s ago, policy version 3" in out
    assert "proxy, MCP core" in out
    assert "lowest score" in out
    assert cells(out, "rule") == ["rule", "gold"]
    assert "not edge      stretch: the way through it is too long" in out
    assert cells(out, "natural") == ["natural", "cost", "4"]
    assert cells(out, "MCP") == ["MCP", "cost", "stretch", "location", "type", "load", "score", "filtered"]
    rows = out[out.index("  MCP   cost") :].splitlines()
    assert max(map(len, rows)) <= 80
    out = run("explain", wanted, "-o", "wide")
    assert cells(out, "MCP") == [
        "MCP", "cost", "stretch", "location", "type", "load", "score", "filtered", "on-path", "path",
    ]  # fmt: skip
    assert cells(out, "*") == [
        "*", "core", "5", "1.25", "0.25", "0.1", "0.02", "0.37", "-", "no", "s1", "s3", "s4",
    ]  # fmt: skip
    assert cells(out, "edge") == ["edge", "-", "-", "-", "-", "-", "-", "stretch", "yes", "-"]


def test_ports_have_names_states_speeds_and_what_hangs_there(run: Run) -> None:
    out = run("topology", "ports")
    assert cells(out, "s1:1") == ["s1:1", "s1-eth1", "yes", "10", "Gbit/s", "access", "lte"]
    assert cells(out, "s1:2") == ["s1:2", "-", "no", "-", "-"]


@pytest.mark.parametrize(
    "words",
    [
        ("sessions",), ("sessions", "m-1"), ("mcp",), ("access",), ("link",), ("limits",), ("topology",), ("topology", "ports"),
        ("subscriber",), ("acl",), ("registry",), ("pairing",), ("binding",), ("reservation",), ("policy", "history"),
    ],
)  # fmt: skip
def test_tables_are_read_at_80_columns(run: Run, words: tuple[str, ...]) -> None:
    too_wide = [line for line in run(*words).splitlines() if len(line) > 80]
    assert too_wide == []


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Who asks is in another time zone than the controller."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


def test_when_a_policy_was_applied_is_told_in_utc(run: Run, in_tokyo: None) -> None:
    assert "2026-11-20 10:00:00Z" in run("policy", "history")


# ---- what programs read ------------------------------------------------------------------------


def test_json_is_what_the_rest_says(run: Run, view: FixedView) -> None:
    status = json.loads(run("status", "--json"))
    assert status == {
        "health": view.health(), "mcps": view.mcps(), "topology": view.topology(), "status": view.status(),
    }  # fmt: skip
    assert json.loads(run("mcp", "--json")) == {"mcps": view.mcps()}
    assert json.loads(run("sessions", "m-1", "--json")) == view.session("m-1")
    decision = json.loads(run("explain", "m-1", "--json"))
    assert (decision["id"], decision["age_s"]) == ("d-1", 20.0)
    assert json.loads(run("sessions", "--json", "--limit", "1"))["total"] == 2500


def test_a_separate_process_finds_the_controller(state_dir: Path) -> None:
    """No proxy of the environment is used: it would see the token."""
    ran = subprocess.run(
        [sys.executable, "-m", "steering", "status", "--state-dir", str(state_dir)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"},
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "3 of 4 connected" in ran.stdout


def test_url_and_token_file_need_no_state_directory(
    state_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = (state_dir / "rest").read_text().strip()
    options = ["--url", url + "/", "--token-file", str(state_dir / "token")]
    assert main(["mcp", *options, "--state-dir", str(tmp_path / "none")]) == 0
    assert "core" in capsys.readouterr().out
