"""`steering relay --check`: each thing that is taken away is named, and nothing else; a machine in order has no fault."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from steering.cli.main import main
from steering.relay.kernel import check_nft, check_routes, sysctls
from steering.relay.kernel.check import Fault, FaultKind, Warnings, faults
from steering.relay.kernel.uplinks import Uplink
from steering.relay.log import Log
from steering.relay.model import AdvertisedAddress, ControllerAccess, RelayRole, Upstream
from tests.support.relay_machine import (
    PREFIXES,
    ROUTES4,
    RULES4,
    FakeMachine,
    Json,
    of_table,
    relay,
    rule_of,
    take_of,
    without,
)


def set_sysctl(name: str, value: str | None) -> Callable[[FakeMachine], None]:
    def change(machine: FakeMachine) -> None:
        machine.sysctls.pop(name)
        if value is not None:
            machine.sysctls[name] = value

    return change


def set_printed(line: str, printed: Any) -> Callable[[FakeMachine], None]:
    text = printed if isinstance(printed, str) or printed is None else json.dumps(printed)
    return lambda machine: machine.printed.update({line: text})


def lose(*wrong: Callable[[Json], bool]) -> Callable[[FakeMachine], None]:
    return lambda machine: machine.nft(without(*wrong))


def to_listener(port: int) -> Callable[[FakeMachine], None]:
    def change(rows: list[Json]) -> list[Json]:
        for row in rows:
            if take_of("ip")(row):
                for one in row["rule"]["expr"]:
                    if "tproxy" in one:
                        one["tproxy"]["port"] = port
        return rows

    return lambda machine: machine.nft(change)


def swapped(rows: list[Json]) -> list[Json]:
    first, second = (at for at, row in enumerate(rows) if rule_of("prerouting")(row))
    rows[first], rows[second] = rows[second], rows[first]
    return rows


def foreign(rows: list[Json]) -> list[Json]:
    drop = {"family": "inet", "table": "steering_relay", "chain": "late", "expr": [{"drop": None}]}
    return [*rows, {"rule": drop}]


def test_a_machine_in_order_has_no_fault() -> None:
    assert faults(relay(), FakeMachine()) == []


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        (set_sysctl("net.mptcp.enabled", "0"), FaultKind.SYSCTL, "net.mptcp.enabled is 0, 1 is wanted"),
        (set_sysctl("net.mptcp.blackhole_timeout", "3600"), FaultKind.SYSCTL, "blackhole_timeout is 3600"),
        (set_sysctl("net.mptcp.blackhole_timeout", None), FaultKind.SYSCTL, "blackhole_timeout is not there"),
        (set_sysctl("net.ipv4.ip_forward", "0"), FaultKind.SYSCTL, "what is not intercepted is dropped"),
        (
            set_sysctl("net.ipv6.conf.all.forwarding", "0"),
            FaultKind.SYSCTL,
            "what is not intercepted is dropped",
        ),
        (set_sysctl("net.ipv4.tcp_fwmark_accept", "1"), FaultKind.SYSCTL, "tcp_fwmark_accept is 1"),
        (set_sysctl("net.core.somaxconn", "128"), FaultKind.SYSCTL, "somaxconn is 128"),
        (
            set_sysctl("net.ipv4.conf.in2.rp_filter", "1"),
            FaultKind.SYSCTL,
            "net.ipv4.conf.in2.rp_filter is 1",
        ),
        (
            set_sysctl("net.ipv4.conf.all.rp_filter", "1"),
            FaultKind.SYSCTL,
            "net.ipv4.conf.all.rp_filter is 1",
        ),
        (set_printed("ip -j rule show", RULES4[:1]), FaultKind.IP_RULE, "no rule sends IPv4 of mark 0x5354"),
        (
            set_printed("ip -6 -j rule show", [{**RULES4[1], "fwmask": "0xff"}]),
            FaultKind.IP_RULE,
            "no rule sends IPv6",
        ),
        (
            set_printed("ip -j rule show", [{**RULES4[1], "table": "main"}]),
            FaultKind.IP_RULE,
            "to table 5354",
        ),
        (set_printed("ip -j route show table 5354", ""), FaultKind.ROUTE, "table 5354 has no route of IPv4"),
        (set_printed("ip -6 -j route show table 5354", None), FaultKind.ROUTE, "no route of IPv6"),
        (
            set_printed("ip -j route show table 5354", [{**ROUTES4[0], "type": "unicast"}]),
            FaultKind.ROUTE,
            "`local default dev lo`",
        ),
        (
            set_printed("ip mptcp limits show", "add_addr_accepted 0 subflows 2"),
            FaultKind.LIMITS,
            "2 subflows, 8",
        ),
        (
            lose(of_table("steering_relay")),
            FaultKind.NFT,
            "no table inet steering_relay: nothing is intercepted",
        ),
        (lose(of_table("steering_mss")), FaultKind.NFT, "no table inet steering_mss"),
        (lose(take_of("ip6")), FaultKind.INTERCEPTION, "IPv6 to fd00:9::/64 port 443, 5201-5203"),
        (
            lose(take_of("ip")),
            FaultKind.INTERCEPTION,
            "IPv4 to 10.9.0.0/24, 10.10.0.0/24 port 443, 5201-5203",
        ),
        (to_listener(5201), FaultKind.LISTENER_PORT, "port 443, 5202-5203 to a listener at 5201: joins"),
        (lose(rule_of("discretion")), FaultKind.NFT, "2 of 3 rules are missing in chain discretion"),
        (lose(rule_of("late")), FaultKind.NFT, "first `tcp option mptcp exists ip saddr"),
        (
            lambda machine: machine.nft(swapped),
            FaultKind.NFT,
            "chain prerouting of table inet steering_relay has",
        ),
        (lambda machine: machine.nft(foreign), FaultKind.NFT, "1 rules that are not the relay's"),
        (set_printed(check_nft.LIST, None), FaultKind.TOOL, "nft -j -s -t list ruleset: it fails"),
        (set_printed(check_nft.LIST, "table inet"), FaultKind.TOOL, "cannot be read"),
        (set_printed(check_nft.LIST, {"nftables": [{"rule": 3}]}), FaultKind.TOOL, "cannot be read"),
        (lambda machine: machine.names.append("in1:0"), FaultKind.SYSCTL, ""),
        (lambda machine: setattr(machine, "why", "no MPTCP"), FaultKind.PLATFORM, "no MPTCP"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_else(
    change: Callable[[FakeMachine], None], kind: FaultKind, said: str
) -> None:
    machine = FakeMachine()
    change(machine)
    found = faults(relay(), machine)
    assert {fault.kind for fault in found} == {kind}, found
    assert said in found[0].what
    assert len(found) == 1 or said == "", found
    assert all("\n" not in str(fault) for fault in found)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("net.ipv4.conf.all.rp_filter", "2"),  # loose
        ("net.ipv4.conf.default.rp_filter", "1"),  # for interfaces to come
        ("net.ipv4.conf.lo.rp_filter", "1"),
        ("net.core.somaxconn", "65535"),
        ("net.mptcp.close_timeout", "3"),
    ],
)
def test_another_value_that_does_as_well_is_no_fault(name: str, value: str) -> None:
    machine = FakeMachine()
    machine.sysctls[name] = value
    assert faults(relay(), machine) == []


def test_only_interfaces_concerned_are_looked_at() -> None:
    machine = FakeMachine()
    for name in machine.names:
        machine.sysctls[f"net.ipv4.conf.{name}.rp_filter"] = "1"
    found = faults(relay(inside=("in1",)), machine)
    assert [fault.what.split()[0] for fault in found] == [
        "net.ipv4.conf.in1.rp_filter",
        "net.ipv4.conf.out0.rp_filter",
    ]
    assert [fault.fix for fault in found] == [
        f"sysctl -w net/ipv4/conf/{name}/rp_filter=0" for name in ("in1", "out0")
    ]
    assert "there is no interface vlan7" in str(faults(relay(inside=("vlan7",)), machine)[0])


def test_what_ipv6_alone_needs_is_not_asked_where_only_ipv4_is_relayed() -> None:
    machine = FakeMachine()
    machine.sysctls["net.ipv6.conf.all.forwarding"] = "0"
    machine.printed["ip -6 -j rule show"] = "[]"
    only = relay(prefixes=PREFIXES[:2])
    assert faults(only, machine) == []
    assert len(faults(relay(), machine)) == 2


def test_endpoints_and_pools_are_looked_for() -> None:
    machine = FakeMachine()
    announcing = relay(advertise=(AdvertisedAddress("10.8.0.2", 5999),))
    (fault,) = faults(announcing, machine)
    assert fault.kind is FaultKind.ENDPOINT
    assert fault.fix == "ip mptcp endpoint add 10.8.0.2 id 201 port 5999 signal"
    shown = {"address": "10.8.0.2", "id": 201, "port": 5999, "signal": True}
    for row, faulty in (
        (shown, False),
        ({**shown, "port": 5998}, True),
        ({**shown, "signal": False}, True),
        ({**shown, "address": "10.8.0.3"}, True),
    ):
        machine.printed["ip -j mptcp endpoint show"] = json.dumps([row])
        assert bool(faults(announcing, machine)) is faulty, row


def test_an_agent_may_have_switched_the_segment_size_off() -> None:
    machine = FakeMachine()
    agent = ControllerAccess("http://127.0.0.1:1", "core", "t", None)
    machine.sysctls["net.mptcp.pm_type"] = "1"
    machine.nft(without(lambda row: of_table("steering_mss")(row) and "table" not in row))
    assert faults(relay(agent=agent), machine) == []
    assert len(faults(relay(), machine)) == 1
    machine.sysctls["net.mptcp.pm_type"] = "0"
    assert [fault.kind for fault in faults(relay(agent=agent), machine)] == [FaultKind.SYSCTL]


def test_a_cpe_has_its_uplinks_looked_at() -> None:
    machine = FakeMachine()
    machine.printed["ip mptcp limits show"] = "add_addr_accepted 8 subflows 8"
    way = Uplink("out0", ("10.7.0.2", ""), ("10.7.0.1", ""))
    own = {"priority": 70, "src": "10.7.0.2", "table": "5360"}
    machine.printed["ip -j rule show"] = json.dumps([*RULES4, own])
    route = {"dst": "default", "gateway": "10.7.0.1", "dev": "out0", "flags": []}
    machine.printed["ip -j route show table 5360"] = json.dumps([route])
    endpoint = {"address": "10.7.0.2", "id": 1, "subflow": True, "dev": "out0"}
    machine.printed["ip -j mptcp endpoint show"] = json.dumps([endpoint])
    cpe = relay(
        role=RelayRole.UPSTREAM, ports=(), ranges=((443, 443),), inside=("in1",), upstream=Upstream(("out0",))
    )
    assert faults(cpe, machine, (way,)) == []
    machine.printed["ip -j route show table 5360"] = json.dumps([{**route, "gateway": "10.7.0.9"}])
    machine.printed["ip -j mptcp endpoint show"] = json.dumps([{**endpoint, "dev": "out1"}])
    found = faults(cpe, machine, (way,))
    assert [fault.kind for fault in found] == [FaultKind.ROUTE, FaultKind.ENDPOINT]
    assert found[0].fix == "ip route add default via 10.7.0.1 dev out0 table 5360"


def test_hosts_routes_are_written_without_a_length() -> None:
    line = "ip route replace local 192.0.2.1/32 dev lo table local proto 84"
    row = {"type": "local", "dst": "192.0.2.1", "dev": "lo", "protocol": "84"}
    assert not list(check_routes.lacking([line], lambda _: json.dumps([row])))
    assert list(check_routes.lacking([line], lambda _: json.dumps([{**row, "dst": "192.0.2.2"}])))
    assert list(check_routes.lacking([line], lambda _: "no JSON"))


def test_sysctl_paths_keep_an_interfaces_dots() -> None:
    setting = sysctls.of_interface(sysctls.PER_INTERFACE[0], "eth0.7")
    assert str(setting.path) == "/proc/sys/net/ipv4/conf/eth0.7/rp_filter"


def test_faults_at_the_start_are_in_the_log_a_bounded_number_of_them() -> None:
    machine = FakeMachine()
    machine.sysctls = {"net.mptcp.enabled": "0"}
    machine.printed["ip -j rule show"] = machine.printed["ip -6 -j rule show"] = ""
    out = io.StringIO()
    warnings = Warnings(relay(), Log(True, False, out), (), machine, 0)
    warnings.start()
    warnings._thread.join(30)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert len(lines) == 21 and all(line["event"] == "misconfigured" for line in lines)
    assert lines[0]["kind"] == "sysctl" and lines[0]["mend"] == "sysctl -w net/mptcp/enabled=1"
    assert lines[-1]["more"] == len(faults(relay(), machine)) - 20


def test_a_relay_that_is_stopped_warns_no_more() -> None:
    machine = FakeMachine()
    machine.sysctls.clear()
    out = io.StringIO()
    warnings = Warnings(relay(), Log(True, False, out), (), machine, 0)
    warnings.stop()
    warnings.start()
    warnings._thread.join(30)
    assert out.getvalue() == ""


def test_a_line_each() -> None:
    assert str(Fault(FaultKind.NFT, "a: b", "c")) == "nft: a: b (mend: c)"
    assert str(Fault(FaultKind.NFT, "a: b")) == "nft: a: b"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--check", "--port", "443"], "--source-mode is required"),
        (["--check", "--source-mode", "transparent", "--port", "443"], "at least one --prefix"),
        (["--json", "--source-mode", "transparent", "--port", "443"], "--json goes with --query or --check"),
    ],
)
def test_bad_options_are_2(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["relay", *words]) == 2
    assert said in capsys.readouterr().err
