"""`steering relay --check`: each thing that is taken away is named, and nothing else; a machine in order has no fault.

`nft_ruleset.json` is what nft 1.0.6 lists of a relay for TCP ports 443 and 5201 to 5203 of three prefixes.
"""

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from steering.cli.main import main
from steering.relay.kernel import check_nft, check_routes, sysctls
from steering.relay.kernel.check import Fault, FaultKind, Warnings, faults
from steering.relay.kernel.commands import RuleError
from steering.relay.kernel.uplinks import Uplink
from steering.relay.log import Log
from steering.relay.model import AdvertisedAddress, ControllerAccess, RelayRole, UnknownOptions, Upstream
from steering.relay.options.relay_options import RelayOptions
from steering.relay.options.values import parse_prefixes
from tests.support.relay_options import options

Json = dict[str, Any]
LISTED = (Path(__file__).parent / "nft_ruleset.json").read_text()
PREFIXES = parse_prefixes(["10.9.0.0/24", "10.10.0.0/24", "fd00:9::/64"])
PORTS = (443, 5201, 5202, 5203)
RULES4 = [
    {"priority": 0, "src": "all", "table": "local"},
    {"priority": 90, "src": "all", "fwmark": "0x5354", "fwmask": "0xffff", "table": "5354"},
    {"priority": 32766, "src": "all", "table": "main"},
]
ROUTES4 = [{"type": "local", "dst": "default", "dev": "lo", "scope": "host", "flags": []}]
ROUTES6 = [{"type": "local", "dst": "default", "dev": "lo", "metric": 1024, "flags": [], "pref": "medium"}]
MAIN = [{"dst": "10.9.0.0/24", "dev": "out0", "scope": "link"}, {"dst": "10.1.0.0/24", "dev": "in1"}]


def relay(**changes: object) -> RelayOptions:
    given: dict[str, object] = {
        "ports": PORTS,
        "prefixes": PREFIXES,
        "dscp": None,
        "unknown_options": UnknownOptions.RELAY,
    }
    return options(**(given | changes))


class Fake:
    """A machine that is in order for `relay()`; tests break it."""

    def __init__(self) -> None:
        self.sysctls = {one.name: one.value for one in sysctls.settings(relay())}
        self.names = ["in1", "in2", "lo", "out0"]
        for name in self.names:
            for setting in sysctls.PER_INTERFACE:
                self.sysctls[sysctls.of_interface(setting, name).name] = setting.value
        self.why = ""
        self.meant = LISTED
        self.printed: dict[str, str | None] = {
            check_nft.LIST: LISTED,
            "ip -j rule show": json.dumps(RULES4),
            "ip -6 -j rule show": json.dumps(RULES4),
            "ip -j route show table 5354": json.dumps(ROUTES4),
            "ip -6 -j route show table 5354": json.dumps(ROUTES6),
            "ip -j route show": json.dumps(MAIN),
            "ip -j mptcp endpoint show": "",
            "ip mptcp limits show": "add_addr_accepted 0 subflows 8 \n",
        }

    def sysctl(self, name: str) -> str | None:
        return self.sysctls.get(name)

    def interfaces(self) -> Sequence[str]:
        return self.names

    def platform(self) -> str:
        return self.why

    def run(self, line: str, text: str | None = None) -> str:
        if line == check_nft.APART:
            assert text is not None and "table inet steering_relay" in text
            return self.meant
        printed = self.printed.get(line)
        if printed is None:
            raise RuleError(f"{line}: it fails")
        return printed

    def nft(self, change: Callable[[list[Json]], list[Json]]) -> None:
        rows = change(json.loads(LISTED)["nftables"])
        self.printed[check_nft.LIST] = json.dumps({"nftables": rows})


def without(*wrong: Callable[[Json], bool]) -> Callable[[list[Json]], list[Json]]:
    return lambda rows: [row for row in rows if not any(one(row) for one in wrong)]


def of_table(name: str) -> Callable[[Json], bool]:
    return lambda row: any(
        isinstance(it, dict) and name in (it.get("table"), it.get("name")) for it in row.values()
    )


def rule_of(chain: str) -> Callable[[Json], bool]:
    return lambda row: row.get("rule", {}).get("chain") == chain


def take_of(family: str) -> Callable[[Json], bool]:
    return lambda row: f'"tproxy": {{"family": "{family}"' in json.dumps(row)


def set_sysctl(name: str, value: str | None) -> Callable[[Fake], None]:
    def change(machine: Fake) -> None:
        machine.sysctls.pop(name)
        if value is not None:
            machine.sysctls[name] = value

    return change


def set_printed(line: str, printed: Any) -> Callable[[Fake], None]:
    text = printed if isinstance(printed, str) or printed is None else json.dumps(printed)
    return lambda machine: machine.printed.update({line: text})


def lose(*wrong: Callable[[Json], bool]) -> Callable[[Fake], None]:
    return lambda machine: machine.nft(without(*wrong))


def to_listener(port: int) -> Callable[[Fake], None]:
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
    assert faults(relay(), Fake()) == []


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
    change: Callable[[Fake], None], kind: FaultKind, said: str
) -> None:
    machine = Fake()
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
    machine = Fake()
    machine.sysctls[name] = value
    assert faults(relay(), machine) == []


def test_a_changed_option_shows() -> None:
    """What nft lists of the wanted tables is here that of the options; of this machine, that of older ones."""
    machine = Fake()
    rows = json.loads(LISTED)["nftables"]
    for row in rows:
        if take_of("ip")(row):
            match = row["rule"]["expr"][1]["match"]
            assert match["left"]["payload"]["field"] == "dport"
            match["right"] = {"set": [80, *match["right"]["set"], {"range": [9000, 9009]}]}
    machine.meant = json.dumps({"nftables": rows})
    (fault,) = faults(relay(), machine)
    assert fault.kind is FaultKind.INTERCEPTION
    assert (
        fault.what
        == "no TPROXY rule takes IPv4 to 10.9.0.0/24, 10.10.0.0/24 port 80, 9000-9009: it goes by the relay"
    )


def test_a_rule_of_another_table_that_takes_a_port_away_is_found() -> None:
    machine = Fake()
    expr: list[Json] = [
        {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 443}},
        {"tproxy": {"family": "ip", "port": 9999}},
    ]
    chain = {"family": "ip", "table": "other", "name": "pre", "hook": "prerouting", "prio": -200}
    added: list[Json] = [
        {"chain": chain},
        {"rule": {"family": "ip", "table": "other", "chain": "pre", "expr": expr}},
    ]
    machine.nft(lambda rows: [*rows, *added])
    (fault,) = faults(relay(), machine)
    assert fault.kind is FaultKind.LISTENER_PORT and "port 443 to a listener at 9999" in fault.what
    assert "MPTcpExtMismatchPortSynRx" in fault.what


def renamed(rows: list[Json], new: str = "mine") -> list[Json]:
    """Our table under an operator's name."""
    text = json.dumps(rows)
    assert '"steering_relay"' in text
    rows = json.loads(text.replace('"steering_relay"', f'"{new}"'))
    return rows


def operators_own(family: str, to: int | None, *, mark: int = 0x5354, hook: str = "prerouting", more: Sequence[Json] = (),
                  ports: Sequence[int] = PORTS) -> Callable[[list[Json]], list[Json]]:  # fmt: skip
    """Ours is not there; a table of one family takes our ports, as nft 1.0.6 lists it."""
    table: Json = {"family": family, "table": "mine"}
    hangs = {"type": "filter", "hook": hook, "prio": -150, "policy": "accept"}
    protocol: Json = {"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": "tcp"}}
    rules: list[Json] = []
    for port in ports:
        dport = {
            "match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": port}
        }
        expr = [protocol, dport, *more, {"mangle": {"key": {"meta": {"key": "mark"}}, "value": mark}},
                {"tproxy": {"port": port if to is None else to}}]  # fmt: skip
        rules.append({"rule": {**table, "chain": "pre", "expr": expr}})
    own = [
        {"table": {"family": family, "name": "mine"}},
        {"chain": {**table, "name": "pre", **hangs}},
        *rules,
    ]
    return lambda rows: [row for row in rows if not of_table("steering_relay")(row)] + own


def both(*changes: Callable[[list[Json]], list[Json]]) -> Callable[[list[Json]], list[Json]]:
    def change(rows: list[Json]) -> list[Json]:
        for one in changes:
            rows = one(rows)
        return rows

    return change


def test_an_operators_own_table_that_does_the_same_is_no_fault() -> None:
    machine = Fake()
    machine.nft(renamed)
    assert faults(relay(), machine) == []
    machine.nft(both(operators_own("ip", None), operators_own("ip6", None)))
    assert faults(relay(), machine) == []


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        (operators_own("ip", None), FaultKind.INTERCEPTION, "no TPROXY rule takes IPv6 to fd00:9::/64"),
        (both(operators_own("ip6", None), operators_own("ip", None, ports=(443,))), FaultKind.INTERCEPTION, "IPv4 to"),
        (operators_own("ip", None, mark=1), FaultKind.NFT, "no table inet steering_relay"),
        (operators_own("ip", None, hook="output"), FaultKind.NFT, "no table inet steering_relay"),
        (operators_own("ip", None, more=[{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "x"}}]),
         FaultKind.NFT, "no table inet steering_relay"),
        (both(renamed, without(rule_of("prerouting"))), FaultKind.NFT, "no table inet steering_relay"),
        (both(operators_own("ip6", None), operators_own("ip", 9999)), FaultKind.LISTENER_PORT, "to a listener at 9999"),
    ],
)  # fmt: skip
def test_an_operators_own_table_that_does_less_is_told(
    change: Callable[[list[Json]], list[Json]], kind: FaultKind, said: str
) -> None:
    machine = Fake()
    machine.nft(change)
    found = faults(relay(), machine)
    assert {fault.kind for fault in found} == {kind} and said in found[0].what


def test_only_interfaces_concerned_are_looked_at() -> None:
    machine = Fake()
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
    machine = Fake()
    machine.sysctls["net.ipv6.conf.all.forwarding"] = "0"
    machine.printed["ip -6 -j rule show"] = "[]"
    only = relay(prefixes=PREFIXES[:2])
    assert faults(only, machine) == []
    assert len(faults(relay(), machine)) == 2


def test_endpoints_and_pools_are_looked_for() -> None:
    machine = Fake()
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
    machine = Fake()
    agent = ControllerAccess("http://127.0.0.1:1", "core", "t", None)
    machine.sysctls["net.mptcp.pm_type"] = "1"
    machine.nft(without(lambda row: of_table("steering_mss")(row) and "table" not in row))
    assert faults(relay(agent=agent), machine) == []
    assert len(faults(relay(), machine)) == 1
    machine.sysctls["net.mptcp.pm_type"] = "0"
    assert [fault.kind for fault in faults(relay(agent=agent), machine)] == [FaultKind.SYSCTL]


def test_a_cpe_has_its_uplinks_looked_at() -> None:
    machine = Fake()
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


def test_a_take_by_ranges_single_addresses_and_named_sets() -> None:
    def take(daddr: Any, dport: Any, port: Any = 7) -> check_nft.TproxyRule:
        def match(protocol: str, field: str, right: Any) -> Json:
            return {
                "match": {
                    "op": "==",
                    "left": {"payload": {"protocol": protocol, "field": field}},
                    "right": right,
                }
            }

        expr = [
            match("ip", "daddr", daddr),
            match("tcp", "dport", dport),
            {"tproxy": {"family": "ip", "port": port}},
        ]
        rows = [
            {"chain": {"family": "inet", "table": "t", "name": "c"}},
            {"rule": {"family": "inet", "table": "t", "chain": "c", "expr": expr}},
        ]
        ((_, found),) = check_nft.read(json.dumps({"nftables": rows})).takes
        return found

    assert take("10.0.0.1", {"range": [5, 7]}).ports == {5, 6, 7}
    assert [str(net) for net in take({"range": ["10.0.0.0", "10.0.0.2"]}, 1).networks] == [
        "10.0.0.0/31",
        "10.0.0.2/32",
    ]
    assert take("@named", "@named").networks == () and take("@named", "@named").ports == frozenset()
    own = {"payload": {"protocol": "tcp", "field": "dport"}}
    assert (take("10.0.0.1", 5, own).to, take("10.0.0.1", 5).to) == (check_nft.OWN, 7)


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
    machine = Fake()
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
    machine = Fake()
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
