"""Servers that answered MPTCP by plain TCP get plain TCP for a while: on real sockets of this machine, whose peer speaks MPTCP
or does not."""

import socket
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from steering.relay.kernel.sockets import IPPROTO_MPTCP, fell_back
from steering.relay.model import Endpoint, MptcpOffering, ServerLeg
from steering.relay.session.dialler import dial_own
from steering.relay.session.plain_servers import PLAIN_SERVERS, PlainServers
from steering.relay.session.server_legs import ServerLegs, parse_offering

MPTCP, TCP = ServerLeg.MPTCP, ServerLeg.TCP
SERVER, OTHER_PORT = Endpoint("192.0.2.1", 80), Endpoint("192.0.2.1", 443)
Dial = Callable[[int, int, str], socket.socket]


@pytest.fixture
def dial() -> Iterator[Dial]:
    """Sockets that are connected to a listener: (protocol of the listener, that of the socket, address)."""
    made: list[socket.socket] = []

    def connected(listens: int, dials: int, address: str) -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM, listens)
        dialled = socket.socket(family, socket.SOCK_STREAM, dials)
        made.extend((listener, dialled))
        listener.bind((address, 0))
        listener.listen()
        dialled.connect(listener.getsockname())
        return dialled

    yield connected
    for sock in made:
        sock.close()


def legs(ttl: int = 600) -> ServerLegs:
    return ServerLegs(MPTCP, MptcpOffering(plain_ttl=ttl))


@pytest.mark.row("N-5.6.1b")
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_socket_says_whether_it_fell_back(dial: Dial, address: str) -> None:
    assert fell_back(dial(socket.IPPROTO_TCP, IPPROTO_MPTCP, address))
    assert not fell_back(dial(IPPROTO_MPTCP, IPPROTO_MPTCP, address))


@pytest.mark.row("N-5.6.1b")
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_kernel_before_6_10_tells_by_an_error_of_mptcp_info_and_one_before_5_16_not_at_all(
    dial: Dial, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This kernel is asked for options that it does not have, and answers as an older one does."""
    plain, mptcp = (
        dial(socket.IPPROTO_TCP, IPPROTO_MPTCP, address),
        dial(IPPROTO_MPTCP, IPPROTO_MPTCP, address),
    )
    monkeypatch.setattr("steering.relay.kernel.sockets.TCP_IS_MPTCP", 9_999)
    assert fell_back(plain) and not fell_back(mptcp)
    monkeypatch.setattr("steering.relay.kernel.sockets.MPTCP_INFO", 9_999)
    assert not fell_back(plain) and not fell_back(mptcp), "nobody knows, so MPTCP is offered as before"


def test_a_leg_as_it_is_dialled_says_so_too() -> None:
    """Also one of AF_INET6 to an IPv4 server."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        with closing(dial_own(MPTCP, Endpoint(*listener.getsockname()))) as sock:
            listener.accept()[0].close()
            assert fell_back(sock)


@pytest.mark.row("N-5.6.1a", "N-5.6.1b")
def test_a_server_that_answered_plainly_is_offered_mptcp_again_after_its_time_and_others_all_the_while(
    dial: Dial,
) -> None:
    made = legs()
    assert made.towards(SERVER, 0.0) is MPTCP
    assert not made.connected(SERVER, dial(socket.IPPROTO_TCP, IPPROTO_MPTCP, "127.0.0.1"), 0.1, 0.0)
    for now in (0.1, 300.0, 599.0):
        assert made.towards(SERVER, now) is TCP
        assert made.towards(OTHER_PORT, now) is MPTCP, "another program may listen there"
    assert made.document(599.0)["plain_count"] == 1 and made.document(599.0)["slow_count"] == 0
    assert made.towards(SERVER, 600.0) is MPTCP, "a use does not extend the time"
    assert made.document(600.0)["plain_count"] == 0
    counted = made.counters()
    assert (counted["plain_listed"], counted["plain_for_fallback"], counted["plain_not_listed"]) == (1, 3, 0)


def test_a_server_with_mptcp_and_one_that_was_not_offered_it_are_not_remembered(dial: Dial) -> None:
    made = legs()
    made.connected(SERVER, dial(IPPROTO_MPTCP, IPPROTO_MPTCP, "127.0.0.1"), 0.1, 0.0)
    made.connected(SERVER, dial(socket.IPPROTO_TCP, socket.IPPROTO_TCP, "127.0.0.1"), 0.1, 0.0)
    assert made.towards(SERVER, 1.0) is MPTCP and made.counters()["plain_listed"] == 0


def test_a_server_that_was_slow_is_remembered_as_slow_alone(dial: Dial) -> None:
    made = legs()
    assert made.connected(SERVER, dial(socket.IPPROTO_TCP, IPPROTO_MPTCP, "127.0.0.1"), 3.0, 0.0)
    assert made.counters()["plain_listed"] == 0 and made.towards(SERVER, 1.0) is TCP
    assert made.counters()["plain_for_slow"] == 1


@pytest.mark.parametrize("slow_ttl", [0, 86_400])
def test_it_can_be_switched_off_and_does_not_hang_on_the_other_memory(dial: Dial, slow_ttl: int) -> None:
    for plain_ttl, leg in (("0", MPTCP), ("600", TCP)):
        made = ServerLegs(MPTCP, parse_offering([], None, str(slow_ttl), plain_ttl))
        made.connected(SERVER, dial(socket.IPPROTO_TCP, IPPROTO_MPTCP, "127.0.0.1"), 0.1, 0.0)
        assert made.towards(SERVER, 1.0) is leg
        assert made.counters()["plain_listed"] == (leg is TCP)


def test_where_the_far_end_is_an_mcp_nobody_is_remembered() -> None:
    """`steering connect` and a CPE's relay take the options as they are."""
    assert MptcpOffering().plain_ttl == 0


def test_the_memory_does_not_grow_beyond_its_bound_until_others_had_their_time() -> None:
    plain = PlainServers(10.0)
    for number in range(PLAIN_SERVERS):
        plain.add(Endpoint(str(number), 80), number / PLAIN_SERVERS)
    plain.add(SERVER, 5.0)
    plain.add(Endpoint("7", 80), 5.0)  # known: needs no room
    assert not plain.knows(SERVER, 5.0) and plain.count(5.0) == PLAIN_SERVERS
    assert (plain.listed, plain.refused) == (PLAIN_SERVERS, 1)
    plain.add(SERVER, 10.5)
    assert plain.knows(SERVER, 10.5) and 0 < plain.count(10.5) < PLAIN_SERVERS
    assert plain.count(20.5) == 0


def test_a_server_that_answers_plainly_again_after_its_time_is_remembered_anew() -> None:
    plain = PlainServers(10.0)
    plain.add(SERVER, 0.0)
    plain.add(SERVER, 4.0)  # of a dial that was out when it was listed
    assert plain.knows(SERVER, 9.9) and not plain.knows(SERVER, 10.0)
    plain.add(SERVER, 12.0)
    assert plain.knows(SERVER, 21.9) and not plain.knows(SERVER, 22.0) and plain.listed == 2
