"""ICMP errors about a leg that the relay opened with an address that is not its machine's own reach that leg's socket.

They come in as the network brings them: addressed to whoever the relay speaks for. What the kernel makes of one is
read from the socket itself (`ss`: the path MTU that it knows).
"""

import contextlib
import json
import re
import socket
from collections.abc import Iterator

import pytest

from tests.support.icmp_errors import QuotedSegment, too_big, unreachable
from tests.support.relay_lab import HOST, SERVER, Echo, Lab, Sniffer, wait_for

ROUTER = {4: "10.9.0.99", 6: "fd00:9::99"}
STRANGER = {4: "203.0.113.9", 6: "2001:db8:bad::9"}
NOBODY = {4: "10.9.0.77", 6: "fd00:9::77"}
NARROW, USUAL = 1300, 1500
LEAST = 552  # net.ipv4.route.min_pmtu
PORT = 5201
FAR = 0x4000_0000  # from what the leg sent, in sequence numbers
PRESERVED_4: tuple[str, tuple[str, ...], int] = ("transparent", (), 4)
PRESERVED_6: tuple[str, tuple[str, ...], int] = ("transparent", (), 6)
MODES = [
    PRESERVED_4,
    PRESERVED_6,
    ("shared", ("--pool", "192.0.2.0/30", "--sharing-ratio", "4"), 4),
    ("one-to-one", ("--pool", "192.0.2.0/30"), 4),
    ("ipv6-address", (), 6),
    ("ipv6-prefix", ("--pool", "::5354:1:0:0/96"), 6),
    ("nptv6", ("--pool", "2001:db8:7::/56"), 6),
]


@pytest.fixture(scope="module")
def namespaces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    built = Lab(tmp_path_factory.mktemp("icmp"))
    yield built
    built.close()


@pytest.fixture
def lab(namespaces: Lab) -> Iterator[Lab]:
    yield namespaces
    namespaces.stop_relays()
    for family in ("-4", "-6"):  # path MTUs that were learnt
        namespaces.run("mcp", f"ip {family} route flush cache")


def start(lab: Lab, family: int, mode: str = "transparent", words: tuple[str, ...] = ()) -> None:
    lab.relay(*words, modes=(mode,), prefixes=("10.9.0.0/24" if family == 4 else "fd00:9::/64",))


class Relayed:
    """A connection of the host's through the relay, and what its two legs sent last."""

    def __init__(self, lab: Lab, family: int) -> None:
        self._lab, self.family = lab, family
        self._echo = Echo(lab, family)
        sniffers = lab.sniffer("srv", "srv0"), lab.sniffer("ue", "acc1")
        self.host = lab.connect(family)
        self.talks()
        peer = self._echo.peers[0]
        local = self.host.getsockname()
        self.to_server = _last(sniffers[0], (*peer, SERVER[family], PORT))
        self.to_host = _last(sniffers[1], (SERVER[family], PORT, *local[:2]))
        for sniffer in sniffers:
            sniffer.close()

    def talks(self) -> None:
        """100 bytes there and back."""
        self.host.sendall(b"x" * 100)
        left = 100
        while left:
            left -= len(self.host.recv(left))

    def mtu(self, of: QuotedSegment | None = None) -> int:
        """The path MTU that the MCP's kernel knows for the server leg, or for the one that sent `of`."""
        leg = of or self.to_server
        listed = self._lab.run(
            "mcp", f"ss -tinH src {bracketed(leg.src)} dst {bracketed(leg.dst)} sport = :{leg.sport}"
        )
        found = re.findall(r"pmtu:(\d+)", listed)
        assert len(found) == 1, listed
        return int(found[0])

    def close(self) -> None:
        self.host.close()
        self._echo.close()


@pytest.fixture
def relayed(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Relayed]:
    """By the source mode that is asked for."""
    mode, words, family = request.param
    start(lab, family, mode, words)
    with contextlib.closing(Relayed(lab, family)) as one:
        yield one


def _last(sniffer: Sniffer, ends: tuple[str, int, str, int]) -> QuotedSegment:
    src, sport, dst, dport = ends
    ports = sport.to_bytes(2, "big") + dport.to_bytes(2, "big")
    sent = [tcp for tcp in sniffer.segments() if tcp[:4] == ports]
    data = [tcp for tcp in sent if len(tcp) >= (tcp[12] >> 4) * 4 + 100]
    after = int.from_bytes(data[-1][4:8], "big") + 100
    return QuotedSegment(src, sport, dst, dport, after & 0xFFFF_FFFF)


def bracketed(address: str) -> str:
    """An address as `ss` takes it in a filter."""
    return f"[{address}]" if ":" in address else address


def _mac(lab: Lab, where: str, device: str) -> bytes:
    listed = json.loads(lab.run(where, f"ip -j link show {device}"))
    return bytes.fromhex(listed[0]["address"].replace(":", ""))


def comes_in(lab: Lab, packet: bytes, where: str = "srv", device: str = "srv0", port: str = "out0") -> None:
    """A packet comes in at the MCP from the servers' side, or as told."""
    kind = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
    frame = _mac(lab, "mcp", port) + _mac(lab, where, device) + kind + packet
    with lab.inside(where):
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    with raw:
        raw.bind((device, 0))
        raw.send(frame)


def counted(lab: Lab, where: str, name: str) -> int:
    """A counter of a namespace's kernel."""
    listed = lab.run(where, f"nstat -asz {name}").split()
    return int(listed[listed.index(name) + 1])


@pytest.mark.row("D-6.7.5a")
@pytest.mark.parametrize("relayed", MODES, indirect=True, ids=lambda given: f"{given[0]}-{given[2]}")
def test_a_router_tells_the_server_leg_that_its_segments_are_too_large(lab: Lab, relayed: Relayed) -> None:
    assert relayed.mtu() == USUAL
    comes_in(lab, too_big(ROUTER[relayed.family], relayed.to_server, NARROW))
    wait_for(lambda: relayed.mtu() == NARROW, 30)
    relayed.talks()


@pytest.mark.row("D-6.7.5a")
@pytest.mark.parametrize("relayed", [PRESERVED_4, PRESERVED_6], indirect=True)
def test_a_router_before_the_host_tells_the_hosts_leg(lab: Lab, relayed: Relayed) -> None:
    about = relayed.to_host
    comes_in(lab, too_big(about.dst, about, NARROW), "ue", "acc1", "in1")
    wait_for(lambda: relayed.mtu(about) == NARROW, 30)
    assert relayed.mtu() == USUAL
    relayed.talks()


@pytest.mark.parametrize("family", [4, 6])
def test_a_server_that_cannot_be_reached_ends_the_dial_at_once(lab: Lab, family: int) -> None:
    lab.relay("--dial-timeout", "60")
    lab.run("mcp", f"ip neigh replace {NOBODY[family]} lladdr {_mac(lab, 'srv', 'srv0').hex(':')} dev out0")
    sniffer = lab.sniffer("srv", "srv0")
    host = lab.connect(family, address=NOBODY[family])
    port = host.getsockname()[1]
    own = port.to_bytes(2, "big") + PORT.to_bytes(2, "big")
    (syn, *_) = wait_for(lambda: [tcp for tcp in sniffer.segments() if tcp[:4] == own], 30)
    sniffer.close()
    sequence = int.from_bytes(syn[4:8], "big")
    about = QuotedSegment(HOST[family], port, NOBODY[family], PORT, sequence)
    comes_in(lab, unreachable(ROUTER[family], about))
    host.settimeout(30)
    with pytest.raises(ConnectionResetError):
        host.recv(1)
    host.close()


@pytest.mark.row("N-7.2a")
@pytest.mark.parametrize("relayed", [PRESERVED_4, PRESERVED_6], indirect=True)
def test_a_forged_error_changes_nothing(lab: Lab, relayed: Relayed) -> None:
    about = relayed.to_server
    family = relayed.family
    refused = counted(lab, "mcp", "TcpExtOutOfWindowIcmps")
    forged = about._replace(sequence=(about.sequence + FAR) & 0xFFFF_FFFF)
    comes_in(lab, too_big(STRANGER[family], forged, NARROW))
    comes_in(lab, too_big(STRANGER[family], forged, 68))
    comes_in(lab, unreachable(STRANGER[family], forged))
    wait_for(lambda: counted(lab, "mcp", "TcpExtOutOfWindowIcmps") == refused + 3, 30)
    assert relayed.mtu() == USUAL
    relayed.talks()


@pytest.mark.parametrize("relayed", [PRESERVED_4], indirect=True)
def test_whoever_knows_the_numbers_gets_no_mtu_below_the_kernels_least(lab: Lab, relayed: Relayed) -> None:
    comes_in(lab, too_big(STRANGER[4], relayed.to_server, 68))
    wait_for(lambda: relayed.mtu() != USUAL, 30)
    assert relayed.mtu() == LEAST
    relayed.talks()


@pytest.mark.parametrize("relayed", [PRESERVED_6], indirect=True)
def test_an_ipv6_mtu_below_the_least_is_no_mtu(lab: Lab, relayed: Relayed) -> None:
    got = counted(lab, "mcp", "Icmp6InPktTooBigs")
    comes_in(lab, too_big(STRANGER[6], relayed.to_server, 68))
    wait_for(lambda: counted(lab, "mcp", "Icmp6InPktTooBigs") > got, 30)
    assert relayed.mtu() == USUAL
    relayed.talks()


@pytest.mark.parametrize("relayed", [PRESERVED_4], indirect=True)
def test_an_error_about_somebody_elses_segment_goes_its_way(lab: Lab, relayed: Relayed) -> None:
    """The host gets it, as without a relay; one about what is relayed it does not get."""
    before = counted(lab, "ue", "IcmpInDestUnreachs")
    comes_in(lab, too_big(ROUTER[4], relayed.to_server, NARROW))
    wait_for(lambda: relayed.mtu() == NARROW, 30)
    others = relayed.to_server._replace(sport=relayed.to_server.sport ^ 1)
    comes_in(lab, too_big(ROUTER[4], others, NARROW))
    wait_for(lambda: counted(lab, "ue", "IcmpInDestUnreachs") > before, 30)
    assert counted(lab, "ue", "IcmpInDestUnreachs") == before + 1
