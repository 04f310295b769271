"""`steering init` from the first connection of a switch to a file that passes the check."""

import argparse
import io
import json
import threading
from pathlib import Path

import pytest

from steering.cli.commands import init
from steering.cli.commands.init import ask_all, switch_names
from steering.cli.main import build_whole_parser, main
from steering.cli.site_commands import site_commands
from steering.policy import load_site, parse_site
from steering.policy.site_draft import DraftPort, read_answers, site_text
from steering.runtime.settings import from_arguments
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


def test_answers_that_end_in_the_middle_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As by Ctrl-D."""
    typed = io.StringIO("a\nlte\n")
    monkeypatch.setattr(typed, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", typed)
    args = build_whole_parser().parse_args(["init", "--output", str(tmp_path / "site.yaml")])
    assert init._go_on(args, {"s1": 1}, [DraftPort("s1", 1, "e1", True)]) == 2
    assert capsys.readouterr().err.endswith("the answers end here: no site file is written\n")
    assert not (tmp_path / "site.yaml").exists()


def test_switches_are_called_as_their_bridges_where_that_is_one_name() -> None:
    assert switch_names([("edge", 1), ("br0", 2), ("br0", 3), ("", 4), ("a b", 5), ("", 0xFFFF_0000_0001)]) == {
        "edge": 1, "s2": 2, "s3": 3, "s4": 4, "s5": 5, "sffff00000001": 0xFFFF_0000_0001,
    }  # fmt: skip


BOTH = """\
access_networks:
  - {name: lte, type: cellular, prefixes: [10.1.0.0/24, "fd00:1::/64"], ports: ["s1:1"]}
  - {name: wlan, type: wlan, prefixes: [10.2.0.0/24], ports: ["s1:2"]}
gateways: [{name: internet, prefixes: [10.9.0.0/24], ports: ["s1:3"]}]
mcps: [{name: core, port: "s1:4", addresses: [10.8.0.2]}]
"""


def typed(listen: str) -> list[str]:
    """What is to be typed at the machines of a site."""
    text = site_text(read_answers(BOTH), [DraftPort("s1", n, f"e{n}", True) for n in range(1, 5)], {"s1": 1})
    site, findings = parse_site(text, "the site")
    assert site is not None and findings == []
    return list(site_commands(site, ["s1"], listen, "site.yaml"))


@pytest.mark.parametrize("listen", ["127.0.0.1:6653", "0.0.0.0:6653", "[::1]:7000", "192.0.2.1:6653"])
def test_what_is_to_be_typed_is_taken(listen: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A controller does not listen beyond its machine without TLS unless it is told to."""
    parser = build_whole_parser()
    lines = [line.partition("#")[0].split() for line in typed(listen) if line.startswith("steering")]
    run, relay = (words[1:] for words in lines)
    settings = from_arguments(parser.parse_args(run))
    assert str(settings.listen) == listen
    assert main([*relay, "--nft"]) == 0, capsys.readouterr().err
    assert "10.9.0.0/24" in capsys.readouterr().out


def test_the_other_relays_command_line_is_taken_too(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    token = tmp_path / "core.token"
    token.write_text("t" * 43)
    token.chmod(0o600)
    (line,) = [line for line in typed("0.0.0.0:6653") if "--token-file" in line]
    words = line.removeprefix("#").replace("CONTROLLER", "localhost").replace(token.name, str(token)).split()
    assert main([*words[1:], "--nft"]) == 0, capsys.readouterr().err
    (made,) = [line for line in typed("0.0.0.0:6653") if "token add" in line]
    words = made.removeprefix("#").partition("at the controller")[0].split()
    assert build_whole_parser().parse_args(words[1:]).mcp == "core"


def test_hosts_mcps_and_servers_are_told_their_way() -> None:
    """Without a route of its own an interface's subflow leaves by another one, and is dropped there."""
    lines = typed("0.0.0.0:6653")
    at_mcp = lines.index("# at the MCP core")
    assert lines[at_mcp + 1] == "ip route add default via 10.8.0.1"
    assert "ip route add default via 10.9.0.1" in lines[lines.index("# at each server of internet") :]
    at_hosts = lines[lines.index("# at each host") :]
    assert "ip route add default via 10.2.0.1 dev INTERFACE table TABLE" in at_hosts
    assert "ip -6 route add default via fd00:1::1 dev INTERFACE table TABLE" in at_hosts
    assert any(line.startswith("ip rule add from ADDRESS table TABLE") for line in at_hosts)
    assert any("tcp:CONTROLLER:6653" in line for line in lines)
