"""`steering init` from the first connection of a switch to a file that passes the check."""

import argparse
import json
import threading
from pathlib import Path

import pytest

from steering.cli import init
from steering.cli.init import ask_all, switch_names, to_be_typed
from steering.cli.main import main
from steering.policy import load_site
from steering.policy.site_draft import DraftPort
from steering.store import credentials
from tests.support.controller_process import free_port
from tests.support.fakes.rawswitch import RawSwitch
from tests.support.fixed_view import TOKEN, FixedView, north
from tests.support.rest_server import serve

ANSWERS = """\
access_networks: [{name: lte, type: cellular, prefixes: [10.1.0.0/24], ports: ["s7:p1"]}]
gateways: [{name: internet, prefixes: [10.9.0.0/24], ports: ["s7:2"]}]
mcps: [{name: core, port: "s7:3", addresses: [10.8.0.2]}]
"""


def connected(port: int, ended: threading.Event) -> threading.Thread:
    """A switch that connects as soon as somebody listens, and stays until `ended`."""

    def go() -> None:
        switch = None
        while switch is None and not ended.wait(0.05):
            try:
                switch = RawSwitch(7, ports=(1, 2, 3, 4)).connect(port)
            except OSError:
                continue
        ended.wait(60)
        if switch is not None:
            switch.close()

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    return thread


def test_from_a_switch_that_connects_to_a_site_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port, ended = free_port(), threading.Event()
    thread = connected(port, ended)
    (tmp_path / "answers").write_text(ANSWERS)
    words = [
        "init",
        "--listen",
        f"127.0.0.1:{port}",
        "--switches",
        "1",
        "--answers",
        str(tmp_path / "answers"),
    ]
    try:
        status = main([*words, "--output", str(tmp_path / "site.yaml"), "--json"])
    finally:
        ended.set()
        thread.join(10)
    out, err = capsys.readouterr()
    assert status == 0, err
    site, findings = load_site(str(tmp_path / "site.yaml"))
    assert findings == [] and site is not None and site.mcps[0].inside.dpid == 7
    told = json.loads(out)
    assert told["switches"] == {"s7": 7}
    assert (
        f"ovs-vsctl set bridge s7 protocols=OpenFlow13 -- set-fail-mode s7 secure -- set-controller s7 tcp:127.0.0.1:{port}"
        in told["next"]
    )
    assert "ovs-vsctl set bridge BRIDGE protocols=OpenFlow13" in err and "s7:1" in err


def test_a_running_controller_knows_the_ports_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "token").write_text(TOKEN + "\n")
    (tmp_path / "answers").write_text(
        "access_networks: [{name: lte, prefixes: 10.1.0.0/24, ports: s1-eth1}]\n"
        "gateways: [{name: net, prefixes: 10.9.0.0/24, ports: 's1:2'}]\n"
    )
    for url in serve(north(FixedView()).application):
        credentials.write_rest_url(tmp_path, url)
        words = [
            "init",
            "--from-controller",
            "--state-dir",
            str(tmp_path),
            "--answers",
            str(tmp_path / "answers"),
        ]
        status = main(words)
    out, err = capsys.readouterr()
    assert status == 0, err
    assert 'ports: ["s1:1"]  # s1-eth1' in out


def test_who_says_nothing_is_told_how_and_nothing_is_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = tmp_path / "site.yaml"
    there.write_text("mine\n")
    args = argparse.Namespace(
        answers=None, output=str(there), force=False, json=False, listen="127.0.0.1:6653"
    )
    assert init._go_on(args, {"s1": 1}, [DraftPort("s1", 1, "a", True)]) == 2
    assert "--answers FILE" in capsys.readouterr().err
    (tmp_path / "answers").write_text(
        "access_networks: [{name: lte, prefixes: 10.1.0.0/24, ports: a}]\n"
        "gateways: [{name: net, prefixes: 10.9.0.0/24, ports: b}]\n"
    )
    args.answers = str(tmp_path / "answers")
    ports = [DraftPort("s1", 1, "a", True), DraftPort("s1", 2, "b", True)]
    assert init._go_on(args, {"s1": 1}, ports) == 2
    assert there.read_text() == "mine\n" and "--force" in capsys.readouterr().err
    assert init._go_on(args, {}, []) == 1
    assert "no switch connected" in capsys.readouterr().err


def test_questions_lead_to_the_same_answers() -> None:
    said = iter(["a", "lte", "cellular", "10.1.0.0/24, fd00:1::/64", "", "m", "core", "10.8.0.2"])
    ports = [DraftPort("s1", number, f"e{number}", number != 9) for number in (1, 2, 3, 9)]
    answers = ask_all(ports, lambda _: next(said))
    assert answers["access_networks"] == [
        {"name": "lte", "type": "cellular", "prefixes": ["10.1.0.0/24", "fd00:1::/64"], "ports": ["s1:1"]}
    ]
    assert answers["mcps"] == [{"name": "core", "port": "s1:3", "addresses": ["10.8.0.2"]}]


def test_switches_are_called_as_their_bridges_where_that_is_one_name() -> None:
    assert switch_names([("edge", 1), ("br0", 2), ("br0", 3), ("", 4), ("a b", 5), ("", 0xFFFF_0000_0001)]) == {
        "edge": 1, "s2": 2, "s3": 3, "s4": 4, "s5": 5, "sffff00000001": 0xFFFF_0000_0001,
    }  # fmt: skip


def test_what_is_to_be_typed_is_a_relays_command_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    answers = {"access_networks": [], "gateways": [{"prefixes": "10.9.0.0/24"}], "mcps": [{"name": "core"}]}
    lines = list(to_be_typed(answers, ["s1"], "0.0.0.0:6653", "site.yaml"))
    (relay,) = [line for line in lines if line.startswith("steering relay")]
    (tmp_path / "core.token").write_text("t" * 43)
    (tmp_path / "core.token").chmod(0o600)
    words = (
        relay.replace("CONTROLLER", "localhost")
        .replace("core.token", str(tmp_path / "core.token"))
        .split()[1:]
    )
    assert main([*words, "--nft"]) == 0, capsys.readouterr().err
    assert any("tcp:CONTROLLER:6653" in line for line in lines)
