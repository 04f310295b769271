"""A CPE's uplinks on a real kernel: addresses that change, links that go, and one that is dead with a carrier."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from steering.relay.kernel import uplinks
from steering.relay.kernel.uplinks import Uplink
from tests.support.cpe_lab import UPLINKS, CpeLab
from tests.support.relay_lab import in_namespace, wait_for

SOON = 2.5
"""Seconds without those in which this machine held up who wanted to run, of each silence by itself. A user is to notice one at most,
which the lab line-changes measures. Here the relay's own doing is told apart from the kernel's, which leaves a dead uplink
after some seconds."""
DIALLED = 10.0
"""The same for a connection. A dead uplink that is dialled the kernel never leaves."""
STATE = ("ip rule", "ip -6 rule", "ip mptcp endpoint", "nft list tables", "ip route show table 5360",
         "ip route show table 5361")  # fmt: skip


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[CpeLab]:
    built = CpeLab(tmp_path)
    yield built
    built.close()


def joined(lab: CpeLab, *addresses: str) -> None:
    """Wait until the CPE's subflows are from these addresses, and from no others."""
    wanted = sorted(f"{address}" for address in addresses)
    wait_for(lambda: [one.partition("%")[0] for one in lab.subflows()] == wanted)


def test_a_new_address_carries_live_sessions_and_new_ones_within_a_second(lab: CpeLab) -> None:
    lab.start()
    with lab.client() as live:
        joined(lab, "10.1.0.2", "10.2.0.2")
        live.longest_s = 0.0
        lab.no_address("dsl0")
        lab.address("dsl0", 7)
        with lab.client() as fresh:
            assert fresh.opened_s < DIALLED and not fresh.error
        joined(lab, "10.1.0.7", "10.2.0.2")
        assert live.silent_until(20) < SOON and not live.error
    told = lab.status()
    assert told["uplinks"][0]["ipv4"] == "10.1.0.7" and told["counters"]["uplink_changes"] >= 1
    rules, endpoints = lab.run("cpe", "ip rule"), lab.run("cpe", "ip mptcp endpoint")
    assert "from 10.1.0.7" in rules and "10.1.0.2" not in rules
    assert "10.1.0.7" in endpoints and "10.1.0.2 " not in endpoints


def test_the_only_uplinks_new_address_carries_live_sessions_too(lab: CpeLab) -> None:
    lab.start(uplinks=["dsl0"])
    with lab.client() as live:
        joined(lab, "10.1.0.2")
        live.longest_s = 0.0
        lab.no_address("dsl0")
        lab.address("dsl0", 7)
        joined(lab, "10.1.0.7")
        assert live.silent_until(20) < SOON and not live.error


def test_an_address_that_is_deprecated_carries_what_it_has_until_it_goes(lab: CpeLab) -> None:
    """An IPv6 privacy address in the form of IPv4: the new one is there while the old one still is."""
    lab.start()
    with lab.client() as live:
        joined(lab, "10.1.0.2", "10.2.0.2")
        lab.run("cpe", "ip addr change 10.1.0.2/24 dev dsl0 preferred_lft 0")
        lab.run("cpe", "ip addr add 10.1.0.7/24 dev dsl0")
        wait_for(lambda: lab.status()["uplinks"][0]["ipv4"] == "10.1.0.7")
        assert lab.status()["uplinks"][0]["older"] == ["10.1.0.2"]
        wait_for(lambda: {"10.1.0.2", "10.1.0.7"} <= set(lab.run("cpe", "ip rule").split()))
        assert live.silent_until(20) < SOON and not live.error
        lab.run("cpe", "ip addr del 10.1.0.2/24 dev dsl0")
        wait_for(lambda: not lab.status()["uplinks"][0]["older"])


def test_a_cable_that_is_pulled_is_left_and_taken_again(lab: CpeLab) -> None:
    lab.start()
    with lab.client() as live:
        joined(lab, "10.1.0.2", "10.2.0.2")
        live.longest_s = 0.0
        lab.carrier("dsl0", False)
        joined(lab, "10.2.0.2")
        with lab.client() as fresh:
            assert fresh.opened_s < DIALLED and not fresh.error
        lab.carrier("dsl0", True)
        joined(lab, "10.1.0.2", "10.2.0.2")
        assert live.silent_until(20) < SOON and not live.error


def test_a_dead_uplink_with_a_carrier_is_left_within_a_second_remembered_and_tried_again(lab: CpeLab) -> None:
    lab.start()
    lab.dead("dsl0")
    with lab.client() as first:
        assert first.opened_s < DIALLED and not first.error

    def is_remembered() -> bool:
        """Whether the next one is dialled elsewhere at once. It is tried again after a second, and then after twice as long
        each time: a slow machine may miss the first of these times."""
        before = lab.status()
        with lab.client() as next_one:
            quick = next_one.opened_s < first.opened_s / 2
        failovers = [told["counters"]["uplink_failovers"] for told in (before, lab.status())]
        return quick and failovers[0] == failovers[1] > 0 and before["uplinks"][0]["silent"] == ["ipv4"]

    wait_for(is_remembered)
    assert lab.status()["counters"]["uplink_silences"] >= 1
    lab.alive()

    def tried_again() -> bool:
        with lab.client() as client:
            assert client.opened_s < DIALLED and not client.error
        return not lab.status()["uplinks"][0]["silent"]

    wait_for(tried_again)


@pytest.mark.parametrize("uplink", list(UPLINKS))
def test_a_live_session_leaves_a_dead_uplink_within_a_second_and_joins_again(
    lab: CpeLab, uplink: str
) -> None:
    """Whichever of the two its data goes by: the kernel alone takes some seconds to find out."""
    lab.start()
    with lab.client() as live:
        joined(lab, "10.1.0.2", "10.2.0.2")
        live.longest_s = 0.0
        lab.dead(uplink)
        for _ in range(3):  # the first of them may be dialled by what is set aside meanwhile
            with lab.client() as fresh:
                assert fresh.opened_s < DIALLED and not fresh.error
        assert live.silent_until(20) < SOON and not live.error
        lab.alive()
        joined(lab, "10.1.0.2", "10.2.0.2")
        assert not live.error


@pytest.mark.parametrize("address", ["10.1.0.2", "fd00:1::2"])
def test_connections_are_found_and_ended_by_their_address(lab: CpeLab, address: str) -> None:
    uplink = Uplink("dsl0", ("", address) if ":" in address else (address, ""))
    if ":" in address:
        lab.run("cpe", f"ip addr add {address}/64 dev dsl0 nodad")
    with in_namespace(lab.names["cpe"]):
        assert not uplinks.carries_subflows(uplink)
        listener = socket.create_server(
            (address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET
        )
        near = socket.create_connection(listener.getsockname()[:2])
        assert uplinks.carries_subflows(uplink)
        uplinks.abandon(address)
        with pytest.raises(OSError):
            near.sendall(b"x")
        assert not uplinks.carries_subflows(uplink)
    near.close()
    listener.close()


def test_without_any_address_the_relay_starts_and_serves_when_one_comes(lab: CpeLab) -> None:
    for uplink in UPLINKS:
        lab.no_address(uplink)
    lab.start()
    with pytest.raises(ConnectionError), lab.client():
        pass
    lab.address("lte0", 2)
    wait_for(lambda: lab.status()["uplinks"][1]["ipv4"])
    with lab.client() as client:
        assert not client.error and client.opened_s < DIALLED
        lab.address("dsl0", 2)
        joined(lab, "10.1.0.2", "10.2.0.2")


def test_an_interface_that_is_not_there_yet_is_taken_when_it_comes(lab: CpeLab) -> None:
    """A PPPoE session that is dialled later."""
    lab.run("cpe", "ip link set dsl0 down")
    lab.run("cpe", "ip link set dsl0 name ppp0")
    lab.start()
    with lab.client() as client:
        joined(lab, "10.2.0.2")
        lab.run("cpe", "ip link set ppp0 name dsl0")
        lab.run("cpe", "ip link set dsl0 up")
        lab.run("cpe", "ip route replace default via 10.1.0.1 dev dsl0 metric 100")
        joined(lab, "10.1.0.2", "10.2.0.2")
        assert not client.error


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_takes_away_what_was_set_while_it_ran(lab: CpeLab, number: signal.Signals) -> None:
    before = [lab.run("cpe", command, check=False) for command in STATE]
    lab.start()
    with lab.client():
        joined(lab, "10.1.0.2", "10.2.0.2")
        lab.address("dsl0", 7)
        lab.run("cpe", "ip addr del 10.1.0.2/24 dev dsl0")
        joined(lab, "10.1.0.7", "10.2.0.2")
    set_up = [lab.run("cpe", command, check=False) for command in STATE]
    assert all(one != other for one, other in zip(before, set_up, strict=True) if "-6" not in one)
    wait_for(lambda: not lab.status()["sessions"])
    assert lab.stop(number) == 0
    assert [lab.run("cpe", command, check=False) for command in STATE] == before


def test_what_a_killed_relay_left_is_replaced_by_the_next(lab: CpeLab) -> None:
    lab.start()
    lab.stop(signal.SIGKILL)
    lab.no_address("dsl0")
    lab.address("dsl0", 7)
    lab.start()
    rules = lab.run("cpe", "ip rule")
    assert "10.1.0.7" in rules and "10.1.0.2" not in rules
    with lab.client() as client:
        joined(lab, "10.1.0.7", "10.2.0.2")
        assert not client.error


def test_without_apply_only_where_it_dials_from_follows(lab: CpeLab) -> None:
    lab.start(apply=True)
    lab.stop(signal.SIGKILL)  # its rules stay, as an operator's own would
    lab.start(apply=False)
    rules = lab.run("cpe", "ip rule")
    lab.no_address("dsl0")
    lab.address("dsl0", 7)
    wait_for(lambda: lab.status()["uplinks"][0]["ipv4"] == "10.1.0.7")
    assert lab.run("cpe", "ip rule") == rules
    with lab.client() as client:
        assert not client.error
        assert lab.subflows()[0].partition("%")[0] == "10.1.0.7"
