"""Roles of a relay: their options, the mark, and the text of a CPE's rules (a real kernel runs them in tests/lab)."""

from ipaddress import ip_network

import pytest

from steering.cli.main import main
from steering.relay.kernel.rules import ruleset as interception
from steering.relay.kernel.uplinks import Uplink, endpoints, routing, ruleset
from steering.relay.model import OptionError, RelayRole, Upstream
from steering.relay.options.roles import ALL_PORTS, parse_upstream, parse_window, refuse_foreign, unmarked
from steering.relay.options.values import parse_ranges
from tests.support.relay_options import options

DSL = Uplink("dsl0", ("10.1.0.2", "fd00:1::2"), ("10.1.0.1", "fd00:1::1"))
LTE = Uplink("lte0", ("10.2.0.2", "fd00:2::2"), ("10.2.0.1", "fd00:2::1"))
LTE_V6 = Uplink("lte0", ("", "fd00:2::2"), ("", "fd00:2::1"))
WINDOW = (49152, 50175)


def cpe(**changes: object) -> Upstream:
    return Upstream(**({"uplinks": ("dsl0", "lte0"), "source_ports": WINDOW} | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--uplink", "dsl0"], "--role upstream needs --inside IFACE"),
        (["--inside", "lan0"], "--role upstream needs --uplink IFACE"),
        (["--inside", "lan0", "--uplink", "lan0"], "--uplink lan0 is also --inside"),
        (["--inside", "lan0", "--uplink", "a b"], "--uplink 'a b' is not an interface name"),
        (["--inside", "lan0", "--uplink", "x", "--source-ports", "80-2000"], "none below 1024"),
        (["--inside", "lan0", "--uplink", "x", "--source-ports", "5000-5010"], "at least 64 ports"),
        (["--inside", "lan0", "--uplink", "x", "--source-ports", "many"], "--source-ports many: a port is"),
        (["--inside", "lan0", "--uplink", "x", "--inner-cpe", "10.0.0.1"], "--inner-cpe keeps marks"),
        (["--inside", "lan0", "--uplink", "x", "--deny-mptcp-to", "here"], "--deny-mptcp-to here: "),
        (
            ["--inside", "lan0", "--uplink", "x", "--source-mode", "transparent"],
            "--source-mode is for the role",
        ),
        (["--inside", "lan0", "--uplink", "x", "--port", "9-8"], "--port 9-8: the range runs backwards"),
    ],
)
def test_what_an_upstream_relay_refuses(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["relay", "--role", "upstream", "--nft", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("steering relay: ") and told in said and said.count("\n") == 1


def test_options_of_a_cpe_are_refused_elsewhere() -> None:
    with pytest.raises(OptionError, match="--uplink is for the role upstream, not for downstream"):
        refuse_foreign(RelayRole.DOWNSTREAM, {"uplink": ["dsl0"]})
    refuse_foreign(RelayRole.DOWNSTREAM, {"uplink": [], "source-mode": "transparent"})


def test_a_role_nobody_knows_is_told_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["relay", "--role", "sideways", "--nft"]) == 2
    assert "one of downstream, upstream, data-centre" in capsys.readouterr().err


def test_ranges_of_any_size_are_joined() -> None:
    assert parse_ranges("--port", ["1-65535"]) == ALL_PORTS
    assert parse_ranges("--port", ["443", "80", "8000-9000", "8500-9999", "81"]) == (
        (80, 81),
        (443, 443),
        (8000, 9999),
    )


def test_the_mark_leaves_the_larger_side_to_everybody_else() -> None:
    assert unmarked(WINDOW) == (1024, 49151)
    assert unmarked((1024, 40000)) == (40001, 65535)
    assert parse_window("--source-ports", "49152-50175") == WINDOW


def test_upstream_options_are_kept_in_order() -> None:
    made = parse_upstream(["lte0", "dsl0"], ["lan0"], None, ["10.8.0.0/24"], [])
    assert made == Upstream(("lte0", "dsl0"), None, (ip_network("10.8.0.0/24"),), ())


@pytest.mark.row("N-5.2.2.1e")
def test_plain_tcp_from_inside_is_taken_on_any_port_and_mptcp_never() -> None:
    text = interception(
        options(role=RelayRole.UPSTREAM, ports=(), ranges=ALL_PORTS, prefixes=(), inside=("lan0",))
    )
    lines = [line.strip() for line in text.splitlines()]
    fresh = lines[lines.index("chain fresh {") :]
    takes = [number for number, line in enumerate(fresh) if "tproxy" in line]
    assert [fresh[number].split(" tproxy")[0] for number in takes] == [
        "meta nfproto ipv4 tcp dport { 1-65535 }",
        "meta nfproto ipv6 tcp dport { 1-65535 }",
    ]
    for spared in (
        'iifname != { "lan0" } accept',
        "tcp option mptcp exists accept",
        "fib daddr type != unicast accept",
    ):
        assert fresh.index(spared) < takes[0]


def test_a_downstream_relay_can_take_marked_connections_only() -> None:
    takes = [line for line in interception(options(marked=WINDOW)).splitlines() if "tproxy" in line]
    assert takes and all("tcp sport 49152-50175 " in line for line in takes)


@pytest.mark.row("N-5.2.2.1c")
def test_nat_stays_out_of_the_window() -> None:
    text = ruleset(("dsl0", "lte0"), ("lan0",), cpe())
    masquerading = [line.strip() for line in text.splitlines() if "masquerade" in line]
    assert masquerading == [
        'iifname { "lan0" } oifname { "dsl0", "lte0" } meta l4proto { tcp, udp } masquerade to :1024-49151',
        'iifname { "lan0" } oifname { "dsl0", "lte0" } masquerade',
    ]
    inner = ruleset(("dsl0",), ("lan0",), cpe(inner=(ip_network("192.168.1.2/32"),)))
    first = next(line for line in inner.splitlines() if "masquerade" in line)
    assert "ip saddr 192.168.1.2/32 tcp sport 49152-50175 masquerade to :49152-50175" in first


@pytest.mark.row("N-5.3f")
def test_hosts_open_no_mptcp_to_an_mcp() -> None:
    text = ruleset(
        ("dsl0",), ("lan0",), cpe(deny_mptcp_to=(ip_network("10.8.0.2/32"), ip_network("fd00:8::2/128")))
    )
    denials = [line.strip() for line in text.splitlines() if "drop" in line]
    assert denials == [
        'iifname { "lan0" } ip daddr 10.8.0.2/32 tcp option mptcp exists counter drop',
        'iifname { "lan0" } ip6 daddr fd00:8::2/128 tcp option mptcp exists counter drop',
    ]


def test_each_uplink_has_its_own_way_out() -> None:
    lines = routing((DSL, LTE_V6))
    assert "ip route add default via 10.1.0.1 dev dsl0 table 5360" in lines
    assert "ip -6 rule add pref 71 from fd00:2::2 table 5361" in lines
    assert not any(line.startswith("ip route") and "lte0" in line for line in lines)


@pytest.mark.row("N-5.5a")
def test_an_uplink_of_the_other_family_goes_for_what_is_announced() -> None:
    both = endpoints((DSL, LTE))
    assert "ip mptcp endpoint add 10.1.0.2 dev dsl0 subflow" in both
    assert "ip mptcp endpoint add 10.2.0.2 dev lte0 subflow fullmesh" in both
    assert "ip mptcp endpoint add fd00:2::2 dev lte0 subflow fullmesh" in endpoints((DSL, LTE_V6))


def test_a_relay_that_takes_plain_tcp_serves_its_ranges() -> None:
    made = options(role=RelayRole.DATA_CENTRE, ports=(), ranges=((80, 90),))
    assert made.serves(85) and not made.serves(91)
    assert options().serves(5201) and not options().serves(5202)
