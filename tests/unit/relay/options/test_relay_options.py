"""Relay options: what is accepted, what is refused and with which line."""

from ipaddress import ip_network

import pytest

from steering.cli.main import main
from steering.relay.model import OptionError, ServerLeg
from steering.relay.options.relay_options import parse_source
from steering.relay.options.source_mode import RelaySourceMode
from steering.relay.options.values import (
    MAX_PORTS,
    parse_bound,
    parse_choice,
    parse_interfaces,
    parse_ports,
    parse_prefixes,
)
from tests.support.relay_options import options


@pytest.mark.row("N-5.4.0")
def test_source_mode_has_no_default() -> None:
    with pytest.raises(OptionError, match="required and has no default"):
        parse_source([], [], [])
    assert parse_source(["transparent"], [], []).ipv6 is RelaySourceMode.TRANSPARENT


def test_ports() -> None:
    assert parse_ports(["8000-8002", "80", "8001"]) == (80, 8000, 8001, 8002)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "--port is required"),
        (["0"], "a number from 1 to 65535"),
        (["65536"], "a number from 1 to 65535"),
        (["-5"], "a number from 1 to 65535"),
        (["http"], "a number from 1 to 65535"),
        (["8²"], "a number from 1 to 65535"),
        (["9" * 5000], "a number from 1 to 65535"),
        (["80-"], "a number from 1 to 65535"),
        (["80-81-82"], "a number from 1 to 65535"),
        (["90-80"], "runs backwards"),
        (["1-65535"], f"more than {MAX_PORTS} ports"),
        (["1-1000", "2001-3000"], f"at most {MAX_PORTS}"),
    ],
)
def test_bad_ports(words: list[str], reason: str) -> None:
    with pytest.raises(OptionError, match=reason):
        parse_ports(words)


def test_prefixes() -> None:
    both = parse_prefixes(["10.9.0.0/24", "fd00:9::/64", "10.9.0.0/24"])
    assert both == (ip_network("10.9.0.0/24"), ip_network("fd00:9::/64"))
    for bad in ("10.9.0.1/24", "10.9.0.0/40", "server", "", "fd00::1/64"):
        with pytest.raises(OptionError, match="--prefix"):
            parse_prefixes([bad])


def test_covers_asks_the_right_family() -> None:
    assert options().covers("10.9.0.255") and options().covers("fd00:9::ffff")
    assert not options().covers("10.9.1.0") and not options().covers("::ffff:10.9.0.2")


def test_interface_names_cannot_end_an_nft_rule() -> None:
    assert parse_interfaces("--inside", ["eth0", "wlan0.12", "eth0"]) == ("eth0", "wlan0.12")
    for bad in ('eth0" accept', "a b", "", "a" * 16, "eth0;", "ethé"):
        with pytest.raises(OptionError, match="not an interface name"):
            parse_interfaces("--inside", [bad])


def test_bounds_and_choices() -> None:
    assert parse_bound("--max-sessions", "7", 1, 10) == 7
    for bad in ("0", "11", "-1", "1.5", "x", "9" * 30):
        with pytest.raises(OptionError, match="from 1 to 10"):
            parse_bound("--max-sessions", bad, 1, 10)
    assert parse_choice("--server-leg", "tcp", ServerLeg) is ServerLeg.TCP
    with pytest.raises(OptionError, match="one of mptcp, tcp"):
        parse_choice("--server-leg", "udp", ServerLeg)


@pytest.mark.row("N-5.4.0")
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--port", "80"], "--source-mode is required"),
        (["--port", "80", "--source-mode", "shared"], "--source-mode shared needs a --pool"),
        (["--source-mode", "transparent"], "--port is required"),
        (["--source-mode", "transparent", "--port", "80", "--nft"], "at least one --prefix"),
        (["--source-mode", "transparent", "--port", "80", "--apply"], "at least one --prefix"),
        (["--source-mode", "transparent", "--port", "80", "--interception", "some"], "one of all, mptcp"),
        (["--source-mode", "transparent", "--port", "80", "--json"], "--json goes with --query"),
        (["--source-mode", "transparent", "--port", "80", "--metrics"], "--metrics needs ADDRESS:PORT"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["relay", *words]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    (line,) = shown.err.splitlines()
    assert says in line


def test_query_of_nothing_is_one_line_and_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["relay", "--query", "nowhere.sock"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "no relay answers there" in line
