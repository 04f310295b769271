"""A session's pump over loopback TCP: half-close, resets, bounded buffers. The kernel's MPTCP is not needed here."""

import socket
import time
from collections.abc import Callable, Iterator

import pytest

from steering.relay.kernel.sockets import prepare_leg
from steering.relay.loop.poller import Poller
from steering.relay.model import Endpoint
from steering.relay.session.relay_session import CHUNK, RelaySession, SessionEnd
from tests.support.loopback import pair

IDLE = 150  # turns of at most 10 ms, one after the other, in which a sender gets rid of nothing more: it is held back


class Bench:
    """A session between `host` and `server`, both ends in the test's hands."""

    def __init__(self) -> None:
        self.poller = Poller()
        self.ends: list[tuple[SessionEnd, str]] = []
        self.host, accepted = pair()
        self.server, dialled = pair()
        here = Endpoint("127.0.0.1", 1)
        for leg in (accepted, dialled):
            prepare_leg(leg)
        self.session = RelaySession(
            self.poller, here, here, accepted, dialled, 0.0, lambda _s, end, why: self.ends.append((end, why))
        )

    def turn_until(self, what: Callable[[], object], seconds: float = 30) -> None:
        until = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < until, "did not come true in time"
            self.poller.turn(0.02)

    def idle_turns(self, count: int = 50) -> float:
        """Seconds that turns of 10 ms each took: near zero means that the loop spins."""
        began = time.monotonic()
        for _ in range(count):
            self.poller.turn(0.01)
        return time.monotonic() - began

    def take(self, sock: socket.socket, size: int) -> bytes:
        got = bytearray()
        sock.setblocking(False)

        def more() -> bool:
            try:
                while part := sock.recv(1 << 16):
                    got.extend(part)
                return True
            except BlockingIOError:
                return len(got) >= size

        self.turn_until(more)
        return bytes(got)

    def close(self) -> None:
        self.session.abort(SessionEnd.STOPPED, "")
        self.poller.close_pending()
        self.host.close()
        self.server.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


@pytest.mark.row("N-2.4")
def test_half_close_both_ways_then_an_orderly_end(bench: Bench) -> None:
    bench.host.sendall(b"question")
    bench.host.shutdown(socket.SHUT_WR)
    assert bench.take(bench.server, 9) == b"question"
    assert bench.server.recv(1) == b"" and not bench.ends, "the other direction is still open"
    bench.server.sendall(b"answer")
    assert bench.take(bench.host, 6) == b"answer"
    bench.server.shutdown(socket.SHUT_WR)
    bench.turn_until(lambda: bench.ends)
    assert bench.ends == [(SessionEnd.ORDERLY, "")]
    bench.host.setblocking(True)
    assert bench.host.recv(1) == b""


@pytest.mark.parametrize("side", ["host", "server"])
def test_reset_is_carried_over(bench: Bench, side: str) -> None:
    bench.host.sendall(b"x")
    assert bench.take(bench.server, 1) == b"x"
    gone, stays = (bench.host, bench.server) if side == "host" else (bench.server, bench.host)
    gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    gone.close()
    bench.turn_until(lambda: bench.ends)
    assert bench.ends[0][0] is SessionEnd.RESET and bench.ends[0][1].startswith(side)
    stays.settimeout(30)
    with pytest.raises(ConnectionResetError):
        stays.recv(1)


def test_stopping_resets_both_even_after_one_direction_ended(bench: Bench) -> None:
    bench.host.sendall(b"x")
    bench.host.shutdown(socket.SHUT_WR)
    assert bench.take(bench.server, 2) == b"x"
    bench.session.abort(SessionEnd.STOPPED, "")
    bench.poller.close_pending()
    bench.host.settimeout(30)
    with pytest.raises(ConnectionResetError):
        bench.host.recv(1)
    bench.server.settimeout(30)
    with pytest.raises(BrokenPipeError):  # it had its clean end already; what it still sends fails
        while True:
            bench.server.send(b"x")


def test_back_pressure_bounds_what_is_kept(bench: Bench) -> None:
    bench.host.setblocking(False)
    block, sent, idle = bytes(1 << 16), 0, 0
    while idle < IDLE:
        try:
            sent += bench.host.send(block)
            idle = 0
        except BlockingIOError:
            bench.poller.turn(0.01)
            idle += 1
        assert sent < 256 << 20, "the host was never held back"
    pending = bench.session.server_leg.pending
    assert pending is not None and 0 < len(pending) <= CHUNK
    assert bench.idle_turns() > 0.3, "a held-back session must not keep the loop busy"
    assert len(bench.take(bench.server, sent)) == sent
    assert bench.session.server_leg.pending is None


def test_ended_direction_while_the_other_is_held_back_does_not_spin(bench: Bench) -> None:
    """The server has been told the host's end and has ended itself, unread data waits: epoll hangs up for ever."""
    bench.host.shutdown(socket.SHUT_WR)
    bench.turn_until(lambda: bench.session.server_leg.finished)
    bench.server.setblocking(False)
    sent = idle = 0
    while idle < IDLE:
        try:
            sent += bench.server.send(bytes(1 << 16))
            idle = 0
        except BlockingIOError:
            bench.poller.turn(0.01)
            idle += 1
    bench.server.shutdown(socket.SHUT_WR)
    assert bench.session.client_leg.pending is not None
    assert bench.idle_turns() > 0.3, "the loop spins"
    assert not bench.ends
    assert len(bench.take(bench.host, sent)) == sent
    bench.turn_until(lambda: bench.ends)
    assert bench.ends == [(SessionEnd.ORDERLY, "")]


def test_refused_dial_ends_the_session() -> None:
    poller, ends = Poller(), []
    host, accepted = pair()
    prepare_leg(accepted)
    dialled = socket.socket()
    prepare_leg(dialled)
    here = Endpoint("127.0.0.1", 1)
    with socket.socket() as nobody:  # bound, not listening: nobody else takes the port meanwhile
        nobody.bind(("127.0.0.1", 0))
        dialled.connect_ex(nobody.getsockname())
        RelaySession(poller, here, here, accepted, dialled, 0.0, lambda _s, end, why: ends.append((end, why)))
        until = time.monotonic() + 30
        while not ends and time.monotonic() < until:
            poller.turn(0.05)
    assert ends == [(SessionEnd.DIAL_FAILED, "Connection refused")]
    with host, pytest.raises(ConnectionResetError):
        host.recv(1)
