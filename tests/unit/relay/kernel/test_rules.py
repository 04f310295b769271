"""The text of the kernel rules (what they do is tested with a real kernel in tests/integration)."""

import pytest

from steering.relay.kernel.rules import ruleset, script
from steering.relay.model import ControllerAccess, RelayInterception, RelayRole, UnknownOptions
from steering.relay.options.values import parse_prefixes
from tests.support.relay_options import options

AGENT = ControllerAccess("http://127.0.0.1:1", "core", "t" * 40, None)


def takes(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if "tproxy" in line]


def test_a_rule_a_family_with_prefixes_and_ports_joined() -> None:
    text = ruleset(options(ports=(80, 443, 8000, 8001, 8002)))
    assert takes(text) == [
        "ip daddr { 10.9.0.0/24 } tcp dport { 80, 443, 8000-8002 }"
        " tproxy ip to :tcp dport meta mark set 0x5354 accept",
        "ip6 daddr { fd00:9::/64 } tcp dport { 80, 443, 8000-8002 }"
        " tproxy ip6 to :tcp dport meta mark set 0x5354 accept",
    ]


def test_no_rule_for_a_family_without_prefixes() -> None:
    (rule,) = takes(ruleset(options(prefixes=parse_prefixes(["fd00:9::/64"]))))
    assert rule.startswith("ip6 daddr")


@pytest.mark.row("D-4.1b")
def test_interception_mptcp_asks_for_the_option() -> None:
    for rule in takes(ruleset(options(interception=RelayInterception.MPTCP))):
        assert rule.startswith("tcp option mptcp exists ")


def test_inside_interfaces() -> None:
    for rule in takes(ruleset(options(inside=("eth0", "eth1")))):
        assert rule.startswith('iifname { "eth0", "eth1" } ')


def test_a_wildcard_listener_is_asked_about_before_any_transparent_socket() -> None:
    text = ruleset(options())
    assert 0 < text.index("socket wildcard 1 goto fresh") < text.index("socket transparent 1 goto ours")


def test_only_our_own_table_is_replaced() -> None:
    text = ruleset(options())
    assert "flush ruleset" not in text
    assert text.count("delete table") == text.count("delete table inet steering_relay") == 1


def test_script_has_the_sysctls_that_measurements_ask_for() -> None:
    text = script(options())
    for line in (
        "sysctl -qw net.mptcp.blackhole_timeout=0",
        "sysctl -qw net.mptcp.close_timeout=4",
        "sysctl -qw net.ipv4.ip_forward=1",
        "sysctl -qw net.ipv6.conf.all.forwarding=1",
        "ip mptcp limits set subflows 8",
        "ip -6 route replace local default dev lo table 5354",
    ):
        assert line in text.splitlines()


@pytest.mark.row("N-7.1")
def test_an_mcps_own_address_is_announced_to_no_server() -> None:
    drops = [line.strip() for line in ruleset(options()).splitlines() if line.endswith(" drop")]
    assert drops == [
        "ip daddr { 10.9.0.0/24 } tcp option mptcp subtype 3 drop",
        "ip6 daddr { fd00:9::/64 } tcp option mptcp subtype 3 drop",
    ]


@pytest.mark.row("D-6.7.6", "D-6.7.3", "D-6.7.4")
def test_what_is_signed_is_forwarded_before_any_mptcp_option_is_looked_at() -> None:
    lines = [line.strip() for line in ruleset(options()).splitlines()]
    fresh = lines[lines.index("chain fresh {") :]
    assert fresh[2:5] == [
        "tcp option md5sig exists counter accept",
        "tcp option 29 exists counter accept",
        "tcp option mptcp subtype 1 goto taken",
    ]
    others = fresh[5 : fresh.index("goto taken")]
    assert others[0] == "tcp doff 15 counter accept"
    kinds = {int(line.split()[2]) for line in others[1:]}
    assert kinds == set(range(256)) - {0, 1, 2, 3, 4, 5, 8, 30, 34} - {19, 29}


def test_unknown_options_may_be_relayed_but_nothing_signed_and_nothing_full() -> None:
    text = ruleset(options(unknown_options=UnknownOptions.RELAY))
    assert "tcp option 253" not in text
    assert "tcp option 29 exists" in text and "tcp option md5sig exists" in text and "tcp doff 15" in text


@pytest.mark.row("S-15")
@pytest.mark.parametrize("role", ["downstream", "upstream"])
def test_late_mptcp_of_a_session_that_is_over_is_reset_and_not_forwarded(role: str) -> None:
    text = ruleset(options(role=RelayRole(role), ranges=((1, 65535),)))
    assert "socket transparent 1 goto ours" in text
    ours = text[text.index("chain ours") : text.index("chain late")]
    late = text[text.index("chain late") : text.index("chain prerouting")]
    assert "hook forward" in late
    for word in ("ip", "ip6"):
        key = f"{word} saddr . tcp sport . {word} daddr . tcp dport"
        assert f"tcp option mptcp exists update @late_{word} {{ {key} }}" in ours
        assert f"tcp option mptcp exists {key} @late_{word} counter reject with tcp reset" in late


@pytest.mark.row("D-6.7.1", "S-15")
def test_a_relay_with_a_controller_resets_late_segments_only_while_it_lives() -> None:
    """Nobody but the controller can tell a host's program that its MCP has died, and only on a subflow that lives."""
    text = ruleset(options(agent=AGENT))
    late = text[text.index("chain late") : text.index("chain over")]
    over = text[text.index("chain over") : text.index("chain prerouting")]
    assert "reject" not in late and late.count("counter drop") == 2
    assert (
        over.count("_ip counter reject with tcp reset")
        == 1
        == over.count("_ip6 counter reject with tcp reset")
    )
    assert "tcp flags & (fin | syn | rst | ack) != syn goto over" in text
    assert "chain over" not in ruleset(options())
    assert "chain over" not in ruleset(options(agent=AGENT, listener=6060, ranges=((1, 65535),))), (
        "its listener is no sign of life"
    )
