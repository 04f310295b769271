"""Who is offered MPTCP: the off-list, and the cache of slow servers with the clock as an argument."""

import errno
import socket
from collections.abc import Iterator
from select import select

import pytest

from steering.cli.main import main
from steering.relay.kernel.sockets import IPPROTO_MPTCP
from steering.relay.kernel.sysctls import SYSCTLS
from steering.relay.model import Endpoint, MptcpOffering, OptionError, ServerLeg
from steering.relay.options.values import parse_prefixes
from steering.relay.session.server_legs import (
    SLOW_SERVERS,
    ServerLegs,
    SlowServerCache,
    gave_up,
    parse_offering,
)
from tests.support.waiting import wait_for

SLOW, GOOD = "10.9.0.3", "10.9.0.2"
SLOW_END, GOOD_END = Endpoint(SLOW, 443), Endpoint(GOOD, 443)


@pytest.fixture
def dialled() -> Iterator[socket.socket]:
    """An MPTCP socket; the network never sees it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP) as sock:
        yield sock


@pytest.mark.row("N-5.6.1g", "N-5.6.1f")
def test_an_entry_lasts_a_day_to_the_second_and_hits_do_not_extend_it(dialled: socket.socket) -> None:
    legs = ServerLegs(ServerLeg.MPTCP, MptcpOffering())
    assert legs.connected(SLOW_END, dialled, 3.07, 0.0)
    for now in (1.0, 40_000.0, 86_399.0):
        assert legs.towards(SLOW_END, now) is ServerLeg.TCP
    assert legs.towards(SLOW_END, 86_400.0) is ServerLeg.MPTCP
    assert legs.document(86_399.0)["slow"] == [{"address": SLOW, "left_s": 1.0}]
    assert legs.document(86_400.0)["slow"] == []


@pytest.mark.row("N-5.6.1d", "N-5.6.1e")
def test_only_the_slow_server_is_dialled_plain(dialled: socket.socket) -> None:
    legs = ServerLegs(ServerLeg.MPTCP, MptcpOffering())
    assert not legs.connected(GOOD_END, dialled, 0.2, 0.0)
    assert legs.connected(SLOW_END, dialled, 2.5, 0.0)
    assert legs.towards(GOOD_END, 1.0) is ServerLeg.MPTCP
    assert legs.towards(SLOW_END, 1.0) is ServerLeg.TCP
    counted = legs.counters()
    assert (counted["slow_listed"], counted["plain_for_slow"], counted["plain_for_off"]) == (1, 1, 0)


def test_what_was_not_offered_mptcp_lists_nobody() -> None:
    legs = ServerLegs(ServerLeg.MPTCP, MptcpOffering())
    with socket.socket() as plain:
        assert not legs.connected(SLOW_END, plain, 9.0, 0.0)
    assert legs.towards(SLOW_END, 1.0) is ServerLeg.MPTCP


def test_a_fallback_at_once_is_no_delay() -> None:
    """A plain server answers the first SYN: nothing was sent again."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP)
        with sock:
            sock.connect(listener.getsockname())
            assert not gave_up(sock)
            assert not ServerLegs(ServerLeg.MPTCP, MptcpOffering()).connected(SLOW_END, sock, 0.1, 0.0)


@pytest.mark.row("N-5.6.1c", "N-5.6.1e")
def test_a_fallback_after_a_syn_was_sent_again_lists_its_server_however_soon_it_came() -> None:
    """The listener has room for one connection, so the kernel drops the SYN of the next."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as listener,
        socket.create_connection(listener.getsockname()),
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP) as sock,
    ):
        sock.setblocking(False)
        assert sock.connect_ex(listener.getsockname()) == errno.EINPROGRESS
        wait_for(lambda: was_sent_again(sock))
        first, _ = listener.accept()
        with first:
            wait_for(lambda: select([], [sock], [], 0)[1])
            assert gave_up(sock)
            legs = ServerLegs(ServerLeg.MPTCP, MptcpOffering(threshold=60.0))
            assert legs.connected(SLOW_END, sock, 0.1, 0.0)
    assert legs.towards(SLOW_END, 1.0) is ServerLeg.TCP and legs.counters()["plain_for_slow"] == 1


def was_sent_again(sock: socket.socket) -> bool:
    """Whether a socket's SYN was, by struct tcp_info's tcpi_retransmits."""
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[2] > 0


@pytest.mark.row("N-5.6.1f")
def test_being_slow_anew_makes_a_new_entry_and_a_repeated_one_does_not() -> None:
    slow = SlowServerCache(5)
    slow.add(SLOW, 0.0)
    slow.add(SLOW, 4.0)  # of a dial that was out when it was listed
    assert (SLOW, 4.9) in slow and (SLOW, 5.0) not in slow
    slow.add(SLOW, 6.0)
    assert (SLOW, 10.9) in slow and (SLOW, 11.0) not in slow


def test_the_cache_is_bounded_and_the_oldest_goes_first() -> None:
    slow = SlowServerCache(86_400)
    for number in range(SLOW_SERVERS + 1):
        slow.add(str(number), float(number) / SLOW_SERVERS)
    assert len(slow.left(2.0)) == SLOW_SERVERS
    assert ("0", 2.0) not in slow and ("1", 2.0) in slow and (str(SLOW_SERVERS), 2.0) in slow


def test_a_time_of_nothing_remembers_nobody(dialled: socket.socket) -> None:
    legs = ServerLegs(ServerLeg.MPTCP, MptcpOffering(ttl=0))
    assert not legs.connected(SLOW_END, dialled, 9.0, 0.0)
    assert legs.towards(SLOW_END, 0.0) is ServerLeg.MPTCP


@pytest.mark.row("N-5.6.1c")
@pytest.mark.parametrize(
    ("off", "plain"),
    [
        ([], []),
        (["10.9.0.3/32"], ["10.9.0.3"]),
        (["0.0.0.0/0"], ["10.9.0.2", "10.9.0.3"]),
        (["::/0"], ["fd00:9::2"]),
        (["0.0.0.0/0", "::/0"], ["10.9.0.2", "10.9.0.3", "fd00:9::2"]),
    ],
)
def test_the_off_list_names_some_or_all(off: list[str], plain: list[str]) -> None:
    legs = ServerLegs(ServerLeg.MPTCP, MptcpOffering(parse_prefixes(off)))
    servers = ("10.9.0.2", "10.9.0.3", "fd00:9::2")
    assert [s for s in servers if legs.towards(Endpoint(s, 443), 0.0) is ServerLeg.TCP] == plain
    assert legs.plain_for_off == len(plain)


@pytest.mark.row("N-5.6.1a")
def test_by_default_everybody_is_offered_mptcp() -> None:
    made = parse_offering([], None, None, None)
    assert made == MptcpOffering((), 2.5, 86_400, 600)
    anyone = Endpoint("192.0.2.1", 443)
    assert ServerLegs(ServerLeg.MPTCP, made).towards(anyone, 0.0) is ServerLeg.MPTCP
    assert ServerLegs(ServerLeg.TCP, made).towards(anyone, 0.0) is ServerLeg.TCP


def test_the_kernel_does_not_turn_mptcp_off_for_everybody() -> None:
    """Else a missing cache would pass for one (L8)."""
    assert {one.name: one.value for one in SYSCTLS}["net.mptcp.blackhole_timeout"] == "0"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((["10.9.0.3/24"], None, None, None), "--mptcp-off"),
        (([], "0", None, None), "--slow-threshold 0: seconds from 0.1 to 60"),
        (([], "x", None, None), "--slow-threshold"),
        (([], "nan", None, None), "--slow-threshold"),
        (([], "1.2.3", None, None), "--slow-threshold"),
        (([], "²", None, None), "--slow-threshold"),
        (([], None, "-1", None), "--slow-ttl"),
        (([], None, "1.5", None), "--slow-ttl"),
        (([], None, None, "86401"), "--plain-ttl"),
        (([], None, None, "x"), "--plain-ttl"),
    ],
)
def test_bad_values(words: tuple[list[str], str | None, str | None, str | None], reason: str) -> None:
    with pytest.raises(OptionError, match=reason):
        parse_offering(*words)


@pytest.mark.parametrize("option", ["--slow-ttl", "--plain-ttl"])
def test_an_upstream_relay_has_no_such_list(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its far end is the network's MCP, which knows the server."""
    given = ["--role", "upstream", "--inside", "lan0", "--uplink", "wan0", option, "5"]
    assert main(["relay", *given]) == 2
    assert f"{option} is for the role" in capsys.readouterr().err
