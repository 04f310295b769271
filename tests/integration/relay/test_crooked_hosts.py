"""Hosts that mean harm, in small counts: the relay serves others all the while, and keeps nothing of them."""

import os
import random
import resource
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.relay_lab import MCP, SERVER, Echo, Lab, RelayProcess, wait_for

CONVERT, SOCKS = 8803, 1080
GROWTH_KIB = 4_096
"""Of the relay's memory over a test: an allocator's slack, not something for each host."""

# What an honest host says first, and is answered: a Connect TLV (RFC 8803), a greeting and a request (RFC 1928).
GOOD = {
    CONVERT: bytes.fromhex("01 06 22 63 0a 05 14 51") + bytes(10) + b"\xff\xff" + bytes([10, 9, 0, 2]),
    SOCKS: bytes.fromhex("05 01 00 05 01 00 01 0a 09 00 02 14 51"),
}


@pytest.fixture(scope="module")
def namespaces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    built = Lab(tmp_path_factory.mktemp("crooked"))
    yield built
    built.close()


@pytest.fixture
def lab(namespaces: Lab) -> Iterator[Lab]:
    yield namespaces
    namespaces.stop_relays()


@pytest.fixture
def echo(lab: Lab) -> Iterator[Echo]:
    server = Echo(lab, 4)
    yield server
    server.close()


def explicit(lab: Lab, *more: str) -> RelayProcess:
    return lab.relay("--explicit", "convert", "--explicit", "socks", *more)


def served(lab: Lab) -> None:
    """An honest host is, now."""
    with lab.connect(4) as host:
        host.sendall(b"honest")
        assert wait_for(lambda: host.recv(16)) == b"honest"


def descriptors(relay: RelayProcess) -> int:
    return len(os.listdir(f"/proc/{relay.process.pid}/fd"))


@contextmanager
def nothing_kept(relay: RelayProcess) -> Iterator[None]:
    """Of what happens meanwhile the relay keeps no descriptor, and no memory worth mentioning."""
    wait_for(lambda: relay.counter("active") == 0)
    before, rss = descriptors(relay), relay.rss_kib()
    yield
    wait_for(lambda: relay.counter("active") == 0 and descriptors(relay) <= before)
    assert relay.rss_kib() - rss < GROWTH_KIB


def crooked(rng: random.Random, port: int) -> bytes:
    """An honest host's words with some bytes changed, left out or repeated, or no words at all."""
    words = bytearray(GOOD[port])
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(words) or 1)
        change = rng.randrange(4)
        if change == 0 and words:
            words[at % len(words)] = rng.randrange(256)
        elif change == 1:
            del words[at : at + rng.randint(1, 8)]
        elif change == 2:
            words[at:at] = rng.randbytes(rng.randint(1, 300))
        else:
            words *= rng.randint(2, 4)
    return bytes(words)


@pytest.mark.parametrize("port", [CONVERT, SOCKS])
def test_crooked_conversations_end_and_others_are_served(lab: Lab, echo: Echo, port: int) -> None:
    relay = explicit(lab, "--dial-timeout", "2")  # some ask for a server that is not there
    served(lab)
    rng = random.Random(port)
    with nothing_kept(relay):
        for number in range(120):
            with lab.connect(4, port, MCP[4]) as host:
                host.settimeout(0.05)
                try:
                    host.sendall(crooked(rng, port))
                    host.recv(64)
                except OSError:
                    pass
                if number % 3 == 0:  # some end by a reset
                    host.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if number % 40 == 0:
                served(lab)
    wait_for(lambda: relay.counter("preface_refused") > 40)
    served(lab)


def test_silent_connections_are_dropped_after_a_while_and_hold_nobody_up(lab: Lab, echo: Echo) -> None:
    relay = explicit(lab)
    served(lab)
    with nothing_kept(relay), ExitStack() as held:
        hosts = [held.enter_context(lab.connect(4, port, MCP[4])) for port in (CONVERT, SOCKS) * 40]
        served(lab)
        wait_for(lambda: relay.counter("preface_refused") == len(hosts))
        for host in hosts:
            with pytest.raises(ConnectionResetError):
                host.recv(1)


def test_dials_that_are_never_answered_end_in_their_time_and_hold_nobody_up(lab: Lab, echo: Echo) -> None:
    relay = lab.relay("--dial-timeout", "2", ports=("5201", "5202"))
    served(lab)
    lab.run("srv", "nft add table inet deaf")
    chain = "deaf in { type filter hook input priority 0 ; policy accept ; }"
    lab.run("srv", f"nft add chain inet {chain}")
    lab.run("srv", "nft add rule inet deaf in tcp dport 5202 drop")
    try:
        with nothing_kept(relay), ExitStack() as held:
            hosts = [held.enter_context(lab.connect(4, 5202)) for _ in range(80)]
            served(lab)
            wait_for(lambda: relay.counter("dial_failed") == len(hosts))
            for host in hosts:
                with pytest.raises(ConnectionResetError):
                    host.recv(1)
    finally:
        lab.run("srv", "nft delete table inet deaf")


def test_readers_that_read_nothing_hold_a_bounded_part_and_nobody_up(lab: Lab, echo: Echo) -> None:
    """What a host does not take stays with its server; the relay keeps one read of it at most."""
    relay = lab.relay()
    served(lab)
    rss = relay.rss_kib()
    with ExitStack() as held:
        hosts = [held.enter_context(lab.connect(4)) for _ in range(20)]
        for host in hosts:
            host.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            host.setblocking(False)
        until = time.monotonic() + 3
        while time.monotonic() < until:
            for host in hosts:
                try:
                    host.send(bytes(1 << 16))  # the echo has to go somewhere
                except BlockingIOError:
                    pass
            time.sleep(0.01)
        served(lab)
        rows = relay.status()["sessions"]
        assert max(row["buffered_up"] + row["buffered_down"] for row in rows) <= 2 * (1 << 16)
        assert relay.rss_kib() - rss < 20 * 2 * 64 + GROWTH_KIB
    wait_for(lambda: relay.counter("active") == 0)


def test_with_its_descriptors_gone_the_relay_lives_and_comes_back(lab: Lab, echo: Echo) -> None:
    relay = lab.relay()
    served(lab)
    limits = resource.prlimit(relay.process.pid, resource.RLIMIT_NOFILE)
    most = descriptors(relay) + 6
    resource.prlimit(relay.process.pid, resource.RLIMIT_NOFILE, (most, limits[1]))
    with ExitStack() as held:
        for _ in range(12):
            host = held.enter_context(lab.tcp("ue", 4))
            with suppress(ConnectionResetError):  # the relay cannot dial for all of them
                host.connect((SERVER[4], 5201))
        wait_for(lambda: descriptors(relay) >= most - 1)
        time.sleep(1.0)
        assert relay.process.poll() is None
    resource.prlimit(relay.process.pid, resource.RLIMIT_NOFILE, limits)

    def again() -> bool:
        try:
            served(lab)
        except (OSError, AssertionError):
            return False
        return True

    wait_for(again)
    assert relay.counter("accept_paused") + relay.counter("dial_failed") > 0


def test_the_words_of_an_honest_host_are_understood(lab: Lab, echo: Echo, tmp_path: Path) -> None:
    """What is made crooked above is right as it stands."""
    explicit(lab)
    for port, answer in ((CONVERT, 1), (SOCKS, 5)):
        with lab.connect(4, port, MCP[4]) as host:
            host.sendall(GOOD[port])
            assert host.recv(1)[0] == answer
