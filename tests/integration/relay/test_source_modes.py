"""Source modes of the relay on a real kernel: whom the server sees, that data comes back whole, and who is refused.

The server's way back is a default route to the MCP; that the network brings it to the right one is tests/lab's.
"""

import hashlib
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from steering.cli.main import main
from tests.support.relay_lab import HOST, SERVER, Echo, Lab, RelayProcess, wait_for

FIRST = 1000  # bytes
V4_POOL, V6_POOL, IDENTIFIERS = "192.0.2.0/30", "2001:db8:7::/56", "::5354:1:0:0/96"


@pytest.fixture(scope="module")
def namespaces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    built = Lab(tmp_path_factory.mktemp("sources"))
    yield built
    built.close()


@pytest.fixture
def lab(namespaces: Lab) -> Iterator[Lab]:
    yield namespaces
    namespaces.stop_relays()


@pytest.fixture
def echo(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Echo]:
    server = Echo(lab, request.param)
    yield server
    server.close()


def transfer(lab: Lab, relay: RelayProcess, family: int, address: str = "", size: int = 3_000_000) -> None:
    """Send and get back; the digests have to agree. Most is sent when both subflows are there: Linux 6.18 corrupts
    some of what is under way while the second one comes (docs/design/measured.rst)."""
    data = os.urandom(size)
    with lab.connect(family, address=address) as sock:
        sock.settimeout(60)
        sock.sendall(data[:FIRST])
        if size > FIRST:
            relay.session(lambda row: row["subflows"] == 2, sock)
        sender = threading.Thread(target=sock.sendall, args=(data[FIRST:],), daemon=True)
        sender.start()
        got = hashlib.sha256()
        left = size
        while left:
            part = sock.recv(min(left, 1 << 16))
            assert part, "ended early"
            got.update(part)
            left -= len(part)
        sender.join()
    assert got.digest() == hashlib.sha256(data).digest()


SHARED = ("shared", ("--pool", V4_POOL, "--sharing-ratio", "4"), 4)
ONE = ("one-to-one", ("--pool", V4_POOL), 4)
PREFIX = ("ipv6-prefix", ("--pool", IDENTIFIERS), 6)
NPTV6 = ("nptv6", ("--pool", V6_POOL), 6)
OWN = ("ipv6-address", (), 6)


def start(lab: Lab, mode: str, words: tuple[str, ...], family: int) -> RelayProcess:
    prefix = "10.9.0.0/24" if family == 4 else "fd00:9::/64"
    return lab.relay(*words, modes=(mode,), prefixes=(prefix,))


@pytest.mark.row("N-5.4.1.2a", "N-5.4.1.3", "N-5.4.2a", "N-5.4.2.1a", "N-5.4.2.2", "N-5.4.2.3")
@pytest.mark.parametrize(
    ("mode", "words", "echo"), [SHARED, ONE, PREFIX, NPTV6, OWN], indirect=["echo"], ids=lambda v: str(v)[:12]
)
def test_the_server_sees_what_the_mode_says(lab: Lab, mode: str, words: tuple[str, ...], echo: Echo) -> None:
    family = 6 if mode in ("ipv6-prefix", "nptv6", "ipv6-address") else 4
    relay = start(lab, mode, words, family)
    for _ in range(2):
        transfer(lab, relay, family)
    (first, port), (second, _) = echo.peers
    assert first == second  # stable across sessions
    seen, host = ip_address(first), ip_address(HOST[family])
    if mode == "ipv6-prefix":
        assert seen in ip_network(f"{host}/64", strict=False) and seen != host
    elif mode == "ipv6-address":
        assert seen == host
    else:
        assert seen in ip_network(V4_POOL if family == 4 else V6_POOL)
    if mode == "shared":
        assert 1024 <= port <= 1024 + 16127


@pytest.mark.row("D-5.1c")
@pytest.mark.parametrize("echo", [4], indirect=True)
def test_an_ipv6_host_reaches_an_ipv4_server(lab: Lab, echo: Echo) -> None:
    relay = lab.relay(
        "--pool", V4_POOL, "--nat64", "64:ff9b::/96", modes=("shared",), prefixes=("10.9.0.0/24",)
    )  # fmt: skip
    transfer(lab, relay, 6, address=f"64:ff9b::{SERVER[4]}")
    assert ip_address(echo.peers[0][0]) in ip_network(V4_POOL)


@pytest.mark.row("N-5.4.2.1a", "N-5.4.2.2")
@pytest.mark.parametrize("echo", [4], indirect=True)
def test_who_finds_the_pool_used_up_is_reset_and_counted(lab: Lab, echo: Echo) -> None:
    relay = lab.relay("--pool", "192.0.2.1/32", modes=("one-to-one",), prefixes=("10.9.0.0/24",))
    first = lab.connect(4)
    first.sendall(b"x")
    assert first.recv(1) == b"x"
    second = lab.tcp("ue", 4)
    second.bind(("10.2.0.2", 0))
    with pytest.raises(ConnectionResetError):
        second.connect((SERVER[4], 5201))
        second.recv(1)
    assert relay.counter("refused_pool") == 1
    assert relay.status()["sources"]["ipv4"] == {
        "mode": "one-to-one",
        "mappings": 1,
        "size": 1,
        "sessions": 1,
    }
    (row,) = relay.status()["sessions"]
    assert row["source"] == ["192.0.2.1", first.getsockname()[1]]
    for sock in (first, second):
        sock.close()
    assert [peer[0] for peer in echo.peers] == ["192.0.2.1"]


@pytest.mark.row("N-5.4.2.1a")
@pytest.mark.parametrize("echo", [4], indirect=True)
def test_stray_packets_to_the_pool_end_at_the_mcp(lab: Lab, echo: Echo) -> None:
    """Else a ping to an address of the pool would be forwarded to and fro until its TTL is over."""
    start(lab, *SHARED)
    assert "1 received" in lab.run("srv", "ping -c1 -W30 192.0.2.2")
    lab.stop_relays()
    assert "192.0.2" not in lab.run("mcp", "ip route show table local")


@pytest.mark.row("N-5.6.7a", "N-5.6.7b", "D-6.7.2")
@pytest.mark.parametrize("echo", [4], indirect=True)
def test_the_mapping_log_names_the_host_and_is_switched_by_signals(
    lab: Lab, echo: Echo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mappings"
    relay = lab.relay(
        "--pool", "192.0.2.1/32", "--sharing-ratio", "2", "--mapping-log", str(file), "--name", "core",
        modes=("shared",), prefixes=("10.9.0.0/24",),
    )  # fmt: skip
    for _ in range(20):
        transfer(lab, relay, 4, size=10)
    assert len(file.read_text().splitlines()) == 1  # a block, not 20 sessions
    relay.process.send_signal(signal.SIGUSR2)
    wait_for(lambda: not relay.status()["mapping_log"]["enabled"])
    size = file.stat().st_size
    with lab.tcp("ue", 4) as other:  # another subscriber: a mapping that goes unrecorded
        other.bind(("10.2.0.2", 0))
        other.connect((SERVER[4], 5201))
        wait_for(lambda: relay.status()["sources"]["ipv4"]["mappings"] == 2)
    assert file.stat().st_size == size
    relay.process.send_signal(signal.SIGUSR1)
    wait_for(lambda: relay.status()["mapping_log"]["enabled"])
    assert len(file.read_text().splitlines()) == 3
    now = time.time()
    for (address, port), host in zip((echo.peers[0], echo.peers[-1]), ("10.1.0.2", "10.2.0.2"), strict=True):
        words = ["mappings", "find", address, str(port), "--log", str(file), "--at", str(now), "--json"]
        assert main(words) == 0
        assert json.loads(capsys.readouterr().out)["internal"] == host
    assert main(["mappings", "find", "192.0.2.9", "80", "--log", str(file)]) == 1
