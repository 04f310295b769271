"""DSCP of the host on the server leg, from its SYN on, in every source mode, by capture on a real kernel."""

import contextlib
import socket
from collections.abc import Iterator

import pytest

from steering.relay.kernel import dscp
from tests.support.relay_lab import IPPROTO_MPTCP, MCP, SERVER, Echo, Lab, wait_for

PORT = 5201
POINT, LATER, REMARKED, AS = 34, 26, 46, 8
MODES: list[tuple[str, tuple[str, ...], int]] = [
    ("transparent", (), 4),
    ("transparent", (), 6),
    ("shared", ("--pool", "192.0.2.0/30", "--sharing-ratio", "4"), 4),
    ("one-to-one", ("--pool", "192.0.2.0/30"), 4),
    ("ipv6-address", (), 6),
    ("ipv6-prefix", ("--pool", "::5354:1:0:0/96"), 6),
    ("nptv6", ("--pool", "2001:db8:7::/56"), 6),
]


@pytest.fixture(scope="module")
def namespaces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    built = Lab(tmp_path_factory.mktemp("dscp"))
    yield built
    built.close()


@pytest.fixture
def lab(namespaces: Lab) -> Iterator[Lab]:
    yield namespaces
    namespaces.stop_relays()
    namespaces.run("ue", "nft flush ruleset")


def mark(lab: Lab, point: int) -> None:
    """All that the host sends carries it: MPTCP sockets take no IPV6_TCLASS."""
    lab.run("ue", "nft flush ruleset")
    lab.run("ue", "nft add table inet marked")
    lab.run("ue", "nft add chain inet marked out { type filter hook output priority mangle ; }")
    for word in ("ip", "ip6"):
        lab.run("ue", f"nft add rule inet marked out {word} dscp set {point}")


def start(lab: Lab, mode: str, words: tuple[str, ...], family: int) -> None:
    lab.relay(*words, modes=(mode,), prefixes=("10.9.0.0/24" if family == 4 else "fd00:9::/64",))


class ToServer:
    """What the server leg sends, as the server's wire has it: DSCP of SYNs, and of segments with data."""

    def __init__(self, lab: Lab) -> None:
        self._sniffer = lab.sniffer("srv", "srv0")

    def code_points(self) -> tuple[list[int], list[int]]:
        """(of SYNs, of data), since the last call. Either may have been sent more than once."""
        seen = [(d, t) for d, t in self._sniffer.marked_segments() if t[2:4] == PORT.to_bytes(2, "big")]
        syns = [dscp for dscp, tcp in seen if tcp[13] & 0x12 == 0x02]
        return syns, [dscp for dscp, tcp in seen if len(tcp) > (tcp[12] >> 4) * 4]

    def close(self) -> None:
        self._sniffer.close()


def say(sock: socket.socket, data: bytes) -> None:
    sock.sendall(data)
    got = b""
    while len(got) < len(data):
        got += sock.recv(len(data))
    assert got == data


@contextlib.contextmanager
def talking(lab: Lab, family: int, protocol: int = IPPROTO_MPTCP) -> Iterator[tuple[socket.socket, ToServer]]:
    """A connection of the host's to a server that sends everything back, and what is captured before the server."""
    with contextlib.closing(Echo(lab, family)), contextlib.closing(ToServer(lab)) as seen:
        with lab.connect(family, protocol=protocol) as host:
            yield host, seen


@pytest.mark.row("N-5.6.5a")
@pytest.mark.parametrize(("mode", "words", "family"), MODES)
def test_syn_and_first_data_of_the_server_leg_carry_the_hosts(
    lab: Lab, mode: str, words: tuple[str, ...], family: int
) -> None:
    start(lab, mode, words, family)
    mark(lab, POINT)
    with talking(lab, family) as (host, seen):
        say(host, b"x" * 100)
        syns, data = seen.code_points()
        assert set(syns) == set(data) == {POINT}
        mark(lab, LATER)

        def changed() -> bool:
            say(host, b"y" * 100)
            return LATER in seen.code_points()[1]

        wait_for(changed, 30)
        say(host, b"z" * 100)
        assert set(seen.code_points()[1]) == {LATER}


@pytest.mark.parametrize(("mode", "words", "family"), [MODES[0], MODES[2], MODES[6]])
def test_whoever_marks_nothing_gets_no_mark(lab: Lab, mode: str, words: tuple[str, ...], family: int) -> None:
    start(lab, mode, words, family)
    with talking(lab, family) as (host, seen):
        say(host, b"x" * 100)
        syns, data = seen.code_points()
        assert set(syns) == set(data) == {0}


@pytest.mark.row("N-5.6.5b")
def test_the_syn_is_re_marked_as_everything_is(lab: Lab) -> None:
    mode, words, family = MODES[2]
    start(lab, mode, (*words, "--dscp-remap", f"{REMARKED}:{AS}"), family)
    mark(lab, REMARKED)
    with talking(lab, family) as (host, seen):
        say(host, b"x" * 100)
        syns, data = seen.code_points()
        assert set(syns) == set(data) == {AS}


@pytest.mark.row("N-5.6.5b")
def test_a_server_leg_from_the_mcps_own_address_is_marked_too(lab: Lab) -> None:
    """The host addresses the MCP and says where to (SOCKS)."""
    rules = lab.directory / "dscp.nft"
    rules.write_text(dscp.ruleset({}))
    lab.run("mcp", f"nft -f {rules}")
    lab.relay("--explicit", "socks", modes=("ipv6-address",), prefixes=(), apply=False)
    mark(lab, POINT)
    with contextlib.closing(Echo(lab, 4)), contextlib.closing(ToServer(lab)) as seen:
        with lab.connect(4, 1080, MCP[4]) as host:
            host.sendall(b"\x05\x01\x00")
            assert host.recv(2) == b"\x05\x00"
            host.sendall(b"\x05\x01\x00\x01" + socket.inet_aton(SERVER[4]) + PORT.to_bytes(2, "big"))
            assert host.recv(10)[:2] == b"\x05\x00"
            say(host, b"x" * 100)
            syns, data = seen.code_points()
            assert set(syns) == set(data) == {POINT}


@pytest.mark.row("N-5.6.5a")
def test_a_cpes_legs_carry_what_its_homes_hosts_mark(lab: Lab) -> None:
    """From an uplink's own address and a port of the kernel's; the host speaks plain TCP."""
    words = ("--role", "upstream", "--inside", "in1", "--uplink", "out0")
    lab.relay(*words, modes=(), prefixes=(), ports=())
    mark(lab, POINT)
    with talking(lab, 4, protocol=0) as (host, seen):
        say(host, b"x" * 100)
        syns, data = seen.code_points()
        assert set(syns) == set(data) == {POINT}


def test_a_relay_without_its_rules_relays_and_marks_nothing(lab: Lab) -> None:
    mode, words, family = MODES[0]
    start(lab, mode, words, family)
    lab.run("mcp", "nft delete table inet steering_dscp")
    mark(lab, POINT)
    with talking(lab, family) as (host, seen):
        say(host, b"x" * 100)
        syns, data = seen.code_points()
        assert set(syns) == set(data) == {0}
