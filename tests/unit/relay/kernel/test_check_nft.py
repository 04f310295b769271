"""`steering relay --check` and the rules of nft: what takes a port, in whichever table, and what the options want."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from steering.relay.kernel import check_nft
from steering.relay.kernel.check import FaultKind, faults
from tests.support.relay_machine import (
    LISTED,
    PORTS,
    FakeMachine,
    Json,
    of_table,
    relay,
    rule_of,
    take_of,
    without,
)


def test_a_changed_option_shows() -> None:
    """What nft lists of the wanted tables is here that of the options; of this machine, that of older ones."""
    machine = FakeMachine()
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
    machine = FakeMachine()
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
    machine = FakeMachine()
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
    machine = FakeMachine()
    machine.nft(change)
    found = faults(relay(), machine)
    assert {fault.kind for fault in found} == {kind} and said in found[0].what


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
