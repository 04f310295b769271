"""Explicit listeners over loopback: deadlines, bounds, and that nobody is connected to who was not asked for."""

import socket
import time
from collections.abc import Callable, Iterator

import pytest

from steering.relay.kernel.sockets import is_local, prepare_leg
from steering.relay.loop.poller import Poller
from steering.relay.model import Endpoint, ExplicitOffer, ExplicitProtocol, OptionError
from steering.relay.session.explicit_server import MAX_PREFACE, ExplicitTerms, Preface
from steering.relay.session.preface_queue import PREFACE_SECONDS, PrefaceQueue, parse_offers, parse_users
from steering.relay.session.relay_session import RelaySession, SessionEnd
from tests.support.loopback import pair
from tests.support.scarcity import no_descriptors

CLIENT = Endpoint("127.0.0.1", 1)
CONNECT = bytes.fromhex("01062263 0a05 1389 00000000000000000000ffff0a090002")


class Bench:
    """A host's socket and what became of it."""

    def __init__(self) -> None:
        self.poller = Poller()
        self.told: list[tuple[Endpoint, socket.socket, Preface, bytes]] = []
        self.dropped: list[str] = []
        self.waiting = PrefaceQueue(
            self.poller,
            ExplicitTerms(lambda destination: True),
            lambda client, to, sock, preface, early: self.told.append((to, sock, preface, early)),
            lambda client, sock, reason: self.dropped.append(reason),
        )

    def accept(
        self, protocol: ExplicitProtocol = ExplicitProtocol.CONVERT, sent: bytes = b""
    ) -> socket.socket:
        host, accepted = pair()
        host.sendall(sent)
        prepare_leg(accepted)
        self.waiting.add(protocol, CLIENT, accepted, 0.0)
        return host

    def until(self, what: Callable[[], object]) -> None:
        limit = time.monotonic() + 30
        while not what():
            assert time.monotonic() < limit, "did not come true in time"
            self.poller.turn(0.02)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.waiting.close()
    made.poller.close_pending()
    for _, sock, _, _ in made.told:
        sock.close()


@pytest.mark.row("N-5.2.1b")
def test_a_destination_is_told_once_with_the_bytes_behind_it(bench: Bench) -> None:
    host = bench.accept()
    for byte in CONNECT:
        host.send(bytes((byte,)))
        bench.poller.turn(0.01)
    host.send(b"more")
    bench.until(lambda: bench.told)
    to, sock, _, early = bench.told[0]
    assert to == Endpoint("10.9.0.2", 5001) and not bench.dropped and len(bench.waiting) == 0
    sock.settimeout(30)
    assert early + (b"" if early else sock.recv(9)) == b"more"


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"GET / HTTP/1.1\r\n", "bad-magic"),
        (CONNECT[:4] + b"\x0a\x00\x13\x89" + CONNECT[8:], "bad-tlv"),
        (b"\2" + CONNECT[1:], "unknown-version"),
        (CONNECT[:4] + b"\xc0" + CONNECT[5:], "unknown-tlv"),
    ],
)
def test_malformed_prefaces_end_and_lead_nowhere(bench: Bench, sent: bytes, reason: str) -> None:
    host = bench.accept(sent=sent)
    bench.until(lambda: bench.dropped)
    bench.poller.close_pending()
    assert bench.dropped == [reason] and not bench.told
    answer = b""
    try:
        while part := host.recv(100):
            answer += part
    except ConnectionResetError:
        pass
    assert (answer[:1] == b"\1") == (reason != "bad-magic")


@pytest.mark.own_process
def test_a_machine_without_descriptors_drops_the_host_and_goes_on(bench: Bench) -> None:
    bench.waiting._terms = ExplicitTerms(lambda destination: is_local(destination.address))
    host = bench.accept()
    with no_descriptors():
        host.sendall(CONNECT)
        bench.until(lambda: bench.dropped)
    assert bench.dropped == ["Too many open files"] and not bench.told


def test_truncated_and_late_prefaces_are_dropped(bench: Bench) -> None:
    gone = bench.accept(sent=CONNECT[:10])
    gone.shutdown(socket.SHUT_WR)
    bench.until(lambda: bench.dropped == ["truncated"])
    bench.accept(sent=CONNECT[:10])
    bench.waiting.expire(PREFACE_SECONDS - 0.1)
    assert len(bench.waiting) == 1
    bench.waiting.expire(PREFACE_SECONDS)
    assert bench.dropped == ["truncated", "preface-timeout"] and not bench.told and not len(bench.waiting)


def test_a_host_that_talks_on_without_saying_where_to_is_cut_off(bench: Bench) -> None:
    host = bench.accept(ExplicitProtocol.SOCKS, b"\5\xff")  # 255 methods, sent one by one for ever
    host.sendall(bytes(MAX_PREFACE + 10))
    bench.until(lambda: bench.dropped)
    assert not bench.told


class Asked(Bench):
    """A host that asked for a server; `dialled` is the leg to it."""

    def __init__(self, dialled: socket.socket) -> None:
        super().__init__()
        self.host = self.accept(sent=CONNECT + b"early")
        self.until(lambda: self.told)
        to, accepted, preface, early = self.told[0]
        prepare_leg(dialled)
        self.ends: list[SessionEnd] = []
        self.session = RelaySession(
            *(self.poller, CLIENT, to, accepted, dialled, 0.0, lambda s, end, why: self.ends.append(end)),
            preface,
            early,
        )


def test_a_host_is_answered_before_the_servers_first_byte() -> None:
    server, dialled = pair()
    server.sendall(b"banner")
    asked = Asked(dialled)
    asked.until(lambda: asked.session.server_leg.received and asked.session.client_leg.pending is None)
    assert server.recv(9) == b"early"
    answer = asked.host.recv(100)
    assert answer[:1] == b"\1" and answer[4] == 0x14 and answer[4 * answer[1] :] in (b"banner", b"")
    asked.session.abort(SessionEnd.STOPPED, "")
    asked.poller.close_pending()


def test_a_host_is_told_of_a_failed_dial_and_the_end_is_orderly() -> None:
    with socket.socket() as nobody:  # bound, not listening: nobody else takes the port meanwhile
        nobody.bind(("127.0.0.1", 0))
        dialled = socket.socket()
        dialled.setblocking(False)
        dialled.connect_ex(nobody.getsockname())
        asked = Asked(dialled)
        asked.until(lambda: asked.ends)
    asked.poller.close_pending()
    assert asked.ends == [SessionEnd.DIAL_FAILED]
    assert asked.host.recv(100) == bytes.fromhex("010222631e016000")
    assert asked.host.recv(1) == b""


def test_offers() -> None:
    assert parse_offers(["convert", "socks:1081"], (80,)) == (
        ExplicitOffer(ExplicitProtocol.CONVERT, 8803),
        ExplicitOffer(ExplicitProtocol.SOCKS, 1081),
    )
    for wrong in (["http"], ["convert:0"], ["convert:80"], ["convert", "socks:8803"], ["socks:"]):
        with pytest.raises(OptionError, match="--explicit"):
            parse_offers(wrong, (80,))


def test_users() -> None:
    assert parse_users(None) == ()
    assert parse_users("# people\nann:a:b\n\nbob:c\n") == ((b"ann", b"a:b"), (b"bob", b"c"))
    for wrong in ("ann", ":x", "ann:", "a:" + "x" * 256, "# nobody\n"):
        with pytest.raises(OptionError, match="--socks-users"):
            parse_users(wrong)
