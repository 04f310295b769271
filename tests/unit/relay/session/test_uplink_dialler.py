"""Dials by uplinks over loopback: what the kernel refuses, what has no answer, and who is remembered as silent."""

import errno
import io
import socket
import time
from collections.abc import Iterator
from select import select
from typing import Any

import pytest

from steering.relay.kernel.uplinks import Uplink
from steering.relay.log import Log
from steering.relay.loop.poller import Poller
from steering.relay.model import Endpoint, ServerLeg
from steering.relay.session import uplink_dialler
from steering.relay.session.relay_session import RelaySession, SessionEnd
from steering.relay.session.uplink_dialler import UplinkDialler
from tests.support.loopback import pair
from tests.support.scarcity import no_descriptors
from tests.support.waiting import wait_for

DSL, LTE = Uplink("dsl0", ("127.0.1.1", "")), Uplink("lte0", ("127.0.2.1", ""))
SAT = Uplink("sat0", ("127.0.3.1", ""))
STALE = Uplink("dsl0", ("192.0.2.77", ""))
TCP = ServerLeg.TCP


class Table:
    """Uplinks that are what a test says."""

    def __init__(self, *uplinks: Uplink) -> None:
        self.uplinks = uplinks

    def document(self) -> list[dict[str, Any]]:
        return [{"interface": one.interface} for one in self.uplinks]

    def counters(self) -> dict[str, int]:
        return {}


class Silent(UplinkDialler):
    """By `mute` nobody answers: the socket stays as it was made."""

    mute: tuple[str, ...] = ()

    def open(
        self, uplink: Uplink, server: Endpoint, leg: ServerLeg, version: int, mark: int
    ) -> socket.socket:
        if uplink.interface in self.mute:
            sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
            sock.setblocking(False)
            sock.bind((f"::ffff:{uplink.address(4)}", 0))
            sock.connect_ex(FULL.getsockname()[:2])
            return sock
        return super().open(uplink, server, leg, version, mark)


FULL = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)


@pytest.fixture(scope="module", autouse=True)
def full() -> Iterator[None]:
    """A listener whose queue is full: SYNs to it are dropped, as on a dead line."""
    FULL.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    FULL.bind(("::ffff:127.0.0.1", 0))
    FULL.listen(0)
    held = []
    for _ in range(3):
        sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.connect_ex(FULL.getsockname()[:2])
        held.append(sock)
    yield
    for sock in (*held, FULL):
        sock.close()


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def dialler(*uplinks: Uplink, mute: tuple[str, ...] = (), down: tuple[str, ...] = ()) -> Silent:
    made = Silent(Table(*uplinks), Log(True, False, io.StringIO()), carrier=lambda name: name not in down)
    made.mute = mute
    return made


def place(listener: socket.socket) -> Endpoint:
    return Endpoint(*listener.getsockname())


class Bench:
    """A session whose far leg is dialled by uplinks; `help` is what the relay does when nobody answered in time."""

    def __init__(self, made: Silent, server: Endpoint) -> None:
        self.made, self.poller = made, Poller()
        self.host, accepted = pair()
        accepted.setblocking(False)
        self.ends: list[tuple[SessionEnd, str]] = []
        ways = made.dial(server, TCP)
        self.session = RelaySession(
            self.poller, server, server, accepted, ways.first, 0.0,
            lambda _session, end, why: self.ends.append((end, why)), ways=ways,
        )  # fmt: skip
        for sock in ways.trials():
            self.session.rival(sock)

    def turn(self) -> None:
        for _ in range(5):
            self.poller.turn(0.02)

    @property
    def source(self) -> str:
        return str(self.session.server_leg.sock.getsockname()[0].removeprefix("::ffff:"))

    def close(self) -> None:
        self.session.abort(SessionEnd.STOPPED, "")
        self.poller.close_pending()
        self.made.close()
        self.host.close()


def test_a_stale_address_costs_nothing(server: socket.socket) -> None:
    bench = Bench(dialler(STALE, LTE), place(server))
    bench.turn()
    assert not bench.session.connecting and bench.source == "127.0.2.1"
    bench.close()


def test_where_no_uplink_has_an_address_the_dial_fails_at_once(server: socket.socket) -> None:
    for uplinks in ((), (Uplink("dsl0"), Uplink("lte0")), (STALE,)):
        with pytest.raises(OSError) as refused:
            dialler(*uplinks).dial(place(server), TCP)
        assert refused.value.errno == errno.EADDRNOTAVAIL


def test_what_has_no_answer_is_helped_by_the_next_uplink_and_remembered(
    server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uplink_dialler, "FAILOVER_S", 0.0)
    made = dialler(DSL, LTE, mute=("dsl0",))
    bench = Bench(made, place(server))
    bench.turn()
    assert bench.session.connecting
    assert bench.session.try_another()
    bench.turn()
    assert not bench.session.connecting and bench.source == "127.0.2.1"
    made.expire(time.monotonic() + 10)
    assert made.health.document("dsl0") == ["ipv4"] and (made.failovers, made.silences) == (1, 1)
    again = Bench(made, place(server))
    assert again.source == "127.0.2.1", "it is dialled by the other at once"
    bench.close()
    again.close()


def test_a_server_that_answers_nobody_says_nothing_of_uplinks(server: socket.socket) -> None:
    made = dialler(DSL, LTE, mute=("dsl0", "lte0"))
    bench = Bench(made, place(server))
    assert bench.session.try_another() and not bench.session.try_another()
    bench.turn()
    bench.session.fail(errno.ETIMEDOUT, "no answer")
    made.expire(time.monotonic() + 10)
    assert bench.ends[0][0] is SessionEnd.DIAL_FAILED and made.silences == 0
    bench.close()


def test_a_slow_answer_is_an_answer(server: socket.socket) -> None:
    """The first stands after the second was dialled, and before it: the second is not silent for that."""
    made = dialler(DSL, LTE)
    bench = Bench(made, place(server))
    assert bench.session.try_another()
    bench.turn()
    made.expire(time.monotonic() + 10)
    assert bench.source == "127.0.1.1" and made.silences == made.failovers == 0
    bench.close()


def test_a_refusal_is_the_servers_and_not_repeated_by_another_uplink(server: socket.socket) -> None:
    made, where = dialler(DSL, LTE), place(server)
    server.close()
    bench = Bench(made, where)
    bench.turn()
    assert bench.ends == [(SessionEnd.DIAL_FAILED, "Connection refused")] and made.silences == 0
    bench.close()


def test_a_silent_uplink_is_tried_beside_another_and_taken_again_when_it_answers(
    server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = dialler(DSL, LTE)
    made.health.silent("dsl0", 4, time.monotonic() - 60)
    bench = Bench(made, place(server))
    bench.turn()
    made.expire(time.monotonic() + 10)
    assert not bench.session.connecting and made.health.document("dsl0") == []
    bench.close()


def test_a_trial_that_fails_delays_nobody_and_doubles_the_wait(server: socket.socket) -> None:
    made = dialler(DSL, LTE, mute=("dsl0",))
    made.health.silent("dsl0", 4, time.monotonic() - 60)
    bench = Bench(made, place(server))
    bench.turn()
    assert not bench.session.connecting and bench.source == "127.0.2.1"
    made.expire(time.monotonic() + 10)
    assert made.health._silent["dsl0", 4].failed == 2
    assert made.failovers == 0
    bench.close()


def test_an_error_of_the_way_is_no_answer(server: socket.socket) -> None:
    """The kernel gives the dial by DSL up, as it does where nothing leads to a server any more."""
    made = dialler(DSL, LTE, mute=("dsl0",))
    bench = Bench(made, place(server))
    assert bench.session.try_another()
    bench.turn()
    ((_, loser),) = made._trials
    loser.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1)
    wait_for(lambda: select([], [loser.sock], [], 0)[1])  # at its next repetition
    made.expire(time.monotonic() + 10)
    assert made.silences == 1 and made.health.document("dsl0") == ["ipv4"]
    bench.close()


def test_dials_that_are_watched_are_bounded(server: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uplink_dialler, "MOST_TRIALS", 1)
    made = dialler(DSL, LTE, mute=("dsl0",))
    benches = [Bench(made, place(server)) for _ in range(2)]
    legs = [bench.session.server_leg.sock for bench in benches]
    for bench in benches:
        assert bench.session.try_another()
        bench.turn()
        assert bench.source == "127.0.2.1"
    assert [sock.fileno() == -1 for sock in legs] == [False, True] and len(made._trials) == 1
    for bench in benches:
        bench.close()


def test_an_uplink_without_a_carrier_is_not_called_silent(server: socket.socket) -> None:
    made = dialler(DSL, LTE, mute=("lte0",))
    bench = Bench(made, place(server))
    assert bench.session.try_another()
    bench.turn()
    made._carrier = lambda name: name != "lte0"
    made.expire(time.monotonic() + 10)
    assert made.silences == 0
    bench.close()


@pytest.mark.own_process
def test_without_a_descriptor_for_another_way_the_first_one_goes_on(server: socket.socket) -> None:
    """Thousands of dials that nobody answers may take all: a way more is worth having, and the relay's life is worth more."""
    made = dialler(DSL, LTE)
    made.health.silent("dsl0", 4, time.monotonic() - 60)
    ways = made.dial(place(server), TCP)
    bench = Bench(dialler(DSL, LTE, mute=("dsl0",)), place(server))
    with no_descriptors():
        assert ways.trials() == []
        assert not bench.session.try_another() and bench.session.connecting
    assert bench.session.try_another(), "and it is there again when there are some"
    bench.turn()
    assert bench.source == "127.0.2.1" and not bench.ends
    ways.first.close()
    bench.close()


def test_a_way_that_this_machine_forbids_is_no_way(
    server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A packet filter that drops what goes out by an uplink makes connect(2) say EPERM."""
    made = dialler(DSL, LTE, SAT, mute=("dsl0",))
    bench = Bench(made, place(server))
    dial = made.open

    def filtered(uplink: Uplink, *more: Any) -> socket.socket:
        if uplink is LTE:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        return dial(uplink, *more)

    monkeypatch.setattr(made, "open", filtered)
    assert bench.session.try_another() and not bench.session.try_another()
    bench.turn()
    assert not bench.session.connecting and bench.source == "127.0.3.1"
    bench.close()


def test_with_fast_open_a_dial_has_one_way() -> None:
    assert not UplinkDialler(Table(DSL), Log(True, False, io.StringIO()), fast_open=True).hedges


def test_an_uplink_that_is_set_aside_while_it_is_dialled_by_fails_no_session(server: socket.socket) -> None:
    """Its subflow is ended under the dial, which is told of a reset that no server sent."""
    bench = Bench(dialler(DSL, LTE, mute=("dsl0",)), place(server))
    bench.session._way_failed(bench.session.server_leg, errno.ECONNRESET)
    bench.turn()
    assert not bench.session.connecting and bench.source == "127.0.2.1" and not bench.ends
    bench.close()


def test_whoever_watches_subflows_may_say_that_an_uplink_is_silent_and_it_counts_once() -> None:
    made = dialler(DSL, LTE)
    for _ in range(3):
        made.leave(DSL)
    assert made.health.document("dsl0") == ["ipv4"] and made.health._silent["dsl0", 4].failed == 1


def test_a_session_that_ends_while_it_is_dialled_leaves_no_socket(server: socket.socket) -> None:
    made = dialler(DSL, LTE, mute=("dsl0", "lte0"))
    bench = Bench(made, place(server))
    bench.session.try_another()
    legs = [bench.session.server_leg.sock, *(leg.sock for leg in bench.session._rivals)]
    bench.close()
    assert len(legs) == 2 and all(sock.fileno() == -1 for sock in legs)
