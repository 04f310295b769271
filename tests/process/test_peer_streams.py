"""Three controllers as three processes on loopback: joins across them, and what happens when one dies, freezes or lies."""

import os
import signal
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from steering.wire.peer_codec import encoded
from steering.wire.peer_messages import Heartbeat, Hello
from tests.support.peer_processes import Peer, set_up, started
from tests.support.rest_calls import certificates
from tests.support.waiting import sent_until, wait_for

SESSIONS = 200


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("certificates")
    certificates(made, "a", "b", "c")
    return made


def counted(peer: Peer, fault: str) -> Callable[[], bool]:
    """Whether a fault was counted since this was called."""
    before = peer.do("report")["faults"].get(fault, 0)
    return lambda: bool(peer.do("report")["faults"].get(fault, 0) > before)


def unreachable(peer: Peer) -> int:
    """Joins that were refused because some controller is gone; none may be refused as nobody's."""
    refusals = peer.do("report")["refusals"]
    assert "unknown-token" not in refusals
    return int(refusals.get("peer-unreachable", 0))


@pytest.mark.row("D-6.7.1", "D-6.2c")
def test_joins_across_three_processes_and_one_that_dies_and_one_that_freezes(folder: Path) -> None:
    with started(folder) as peers:
        a, c = peers["a"], peers["c"]
        wait_for(lambda: all(one.reports(whole=True) for one in peers.values()))
        set_up(peers, 0, SESSIONS)
        times = sent_until(
            lambda: c.do("joins", count=SESSIONS, first=0), lambda: a.reports(subflows=2 * SESSIONS)
        )
        assert SESSIONS <= a.do("report")["steered"].count(2) <= times * SESSIONS, (
            "each held segment at s2 goes on by its session's owner"
        )
        assert SESSIONS <= c.do("report")["events"]["join-passed-on"] <= times * SESSIONS

        os.kill(a.process.pid, signal.SIGSTOP)
        wait_for(lambda: c.reports(reached=["b"]))
        assert c.do("report")["faults"]["silent"] >= 1
        before = unreachable(c)
        c.do("joins", count=10, first=0, port=30_000)
        assert unreachable(c) == before + 10
        os.kill(a.process.pid, signal.SIGCONT)
        wait_for(lambda: all(one.reports(whole=True) for one in peers.values()))
        sent_until(
            lambda: c.do("joins", count=10, first=0, port=30_000),
            lambda: a.reports(subflows=2 * SESSIONS + 10),
        )

        os.kill(a.process.pid, signal.SIGKILL)
        wait_for(lambda: c.reports(reached=["b"]))
        before = unreachable(c)
        c.do(
            "joins", count=1, first=SESSIONS + 1, port=40_000
        )  # a token that nobody knows, as far as is known
        assert unreachable(c) == before + 1


def test_who_is_called_and_freezes_is_called_again(folder: Path) -> None:
    """a and b call c. They end their streams themselves while they read from them."""
    with started(folder) as peers:
        a, c = peers["a"], peers["c"]
        wait_for(lambda: all(one.reports(whole=True) for one in peers.values()))
        os.kill(c.process.pid, signal.SIGSTOP)
        wait_for(lambda: a.reports(reached=["b"]))
        assert a.do("report")["faults"]["silent"] >= 1
        os.kill(c.process.pid, signal.SIGCONT)
        wait_for(lambda: all(one.reports(whole=True) for one in peers.values()))


def test_another_site_and_others_than_members_are_refused_by_name(folder: Path) -> None:
    with started(folder, a="another site") as peers:
        b = peers["b"]
        wait_for(lambda: b.do("report")["faults"].get("other-site", 0) >= 1)
        wait_for(lambda: b.reports(reached=["c"]))

        def says(cert: str, data: bytes) -> None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.load_cert_chain(folder / f"{cert}.crt", folder / f"{cert}.key")
            raw = socket.create_connection(("127.0.0.1", b.port))
            with suppress(OSError), context.wrap_socket(raw) as secured:
                secured.sendall(data)
                while secured.recv(4096):
                    pass

        site = b"site".ljust(32)
        hello = encoded(Hello("c", 1, site))
        for cert, data, fault in (
            ("fake", hello, "no-tls"),  # of another CA
            ("a", hello, "wrong-name"),
            ("client", encoded(Hello("client", 1, site)), "no-member"),
            ("b", encoded(Hello("b", 1, site)), "my-name"),
            ("c", encoded(Hello("c", 1, site, 9, 9)), "old-protocol"),
            ("c", encoded(Heartbeat(1)), "no-hello"),
            ("c", b"GET / HTTP/1.1\r\n\r\n", "malformed"),
        ):
            more = counted(b, fault)
            says(cert, data)
            wait_for(more)
        more = counted(b, "no-tls")
        with socket.create_connection(("127.0.0.1", b.port)) as raw:
            raw.sendall(b"no TLS at all\r\n")
            wait_for(more)
        wait_for(lambda: b.reports(reached=["c"]))
