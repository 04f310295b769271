"""The captures of real Linux 6.18 hosts (two are hand-made, version 0), and what is known to be in them.

Written from the notes taken with the captures, not from what our decoder prints.
"""

from dataclasses import dataclass
from pathlib import Path

from steering.cli.capture import read_capture
from steering.trace.links import LinkType

PCAPS = Path(__file__).resolve().parents[1] / "golden" / "pcaps"


@dataclass(frozen=True)
class Join:
    """One line of the notes: source, destination, address id, B flag, outcome."""

    src: str
    sport: int
    dst: str
    dport: int
    address_id: int
    backup: bool = False
    hmac: str = "ok"
    reset: tuple[int, bool] | None = None
    fastclose: bool = False


@dataclass(frozen=True)
class Expected:
    """The one MPTCP connection of a capture (or its plain TCP connection: no version offered)."""

    src: str
    sport: int
    dst: str
    dport: int
    responder_token: str | None = None
    initiator_token: str | None = None
    joins: tuple[Join, ...] = ()
    version: int | None = 1
    fallback: bool = False
    reset: tuple[int, bool] | None = None
    initiator_key: str = ""
    responder_key: str = ""
    responder_denies_joins: bool = False  # flag C
    fastclose: bool = False  # of the first subflow


UE1, UE2, MCP, SERVER = "10.1.0.2", "10.2.0.2", "10.8.0.2", "10.9.0.2"
UE1_V6, UE2_V6, SERVER_V6 = "fd00:1::2", "fd00:2::2", "fd00:9::2"
V0_KEY_A, V0_KEY_B = "0102030405060708", "1112131415161718"

CAPTURES = {
    "v1_join": Expected(
        *(UE1, 46708, SERVER, 5201, "299d3aff", "74e0aece"),
        joins=(Join(UE2, 50995, SERVER, 5201, 1),),
        initiator_key="70df53a5c64df197",
        responder_key="759de62d55b02da4",
    ),
    "v1_v6_join": Expected(
        *(UE1_V6, 47166, SERVER_V6, 5201, "b3bf3e5e", "274f30e2"),
        joins=(Join(UE2_V6, 33513, SERVER_V6, 5201, 2),),
        initiator_key="ad432f5c27a22227",
        responder_key="9671dc580804a560",
    ),
    "v1_add_addr": Expected(
        *(UE1, 50188, SERVER, 5201, "345ee520", "b7a3dadf"),
        joins=(Join(UE1, 37793, MCP, 5201, 0), Join(UE2, 49227, SERVER, 5201, 5)),
        initiator_key="7a2b5a3ed568278a",
        responder_key="0056c6490c72605e",
    ),
    "v1_cflag_add_addr": Expected(
        *(UE1, 50196, SERVER, 5201, "24f3e475", "7b4a6fc0"),
        joins=(Join(UE2, 34757, MCP, 5201, 1),),
        responder_denies_joins=True,
        initiator_key="bc978272aa2bccc1",
        responder_key="f5c3884146a8a72b",
    ),
    "v1_server_initiated_reverse_join": Expected(
        *(SERVER, 55284, UE1, 5201, "d40faf5e", "fa47d73a"),
        joins=(Join(UE2, 37933, MCP, 5999, 1),),
        initiator_key="550ce1fefa99aef7",
        responder_key="9b499ca533fe78b5",
    ),
    "v1_backup_mpprio": Expected(
        *(UE1, 46738, SERVER, 5201, "3f35c5e5", "9ec3e15f"),
        joins=(Join(UE2, 50775, SERVER, 5201, 5, backup=True),),
        initiator_key="03079f2046e056d7",
        responder_key="2b0b61de35295226",
    ),
    "v1_remove_addr": Expected(
        *(UE1, 50172, SERVER, 5201, "c4ba6772", "09b9c864"),
        joins=(Join(UE2, 58555, SERVER, 5201, 5, backup=True),),
        initiator_key="c103b720f76cdd82",
        responder_key="9baabc6f0fab33fd",
    ),
    "v1_fastclose": Expected(
        *(UE1, 51636, SERVER, 5201, "04d2c22f", "4e9b1d4f"),
        joins=(Join(UE2, 60261, SERVER, 5201, 1, reset=(0, False), fastclose=True),),
        reset=(0, False),
        fastclose=True,
        initiator_key="c7849623e7e43bfc",
        responder_key="7ed224996f349227",
    ),
    "v1_join_wrong_mcp_tcprst": Expected(
        *(UE1, 58150, SERVER, 5201, "2543ae1d", "0c5483f3"),
        joins=(Join(UE2, 49391, SERVER, 5201, 1, hmac="unseen", reset=(1, False)),),
        initiator_key="d9ba6ae580a724ef",
        responder_key="5e4b45b4fe24df2c",
    ),
    "v1_fallback_server_plain": Expected(UE1, 58166, SERVER, 5201, fallback=True),
    "v1_fallback_option_stripped": Expected(UE1, 51628, SERVER, 5201, fallback=True),
    "plain_tcp": Expected(UE1, 51620, SERVER, 5201, version=None),
    "v0_join_handmade": Expected(
        *(UE1, 40000, SERVER, 80, "3383d918", "dd5783bc"),
        joins=(Join(UE2, 40001, SERVER, 80, 1),),
        version=0,
        initiator_key=V0_KEY_A,
        responder_key=V0_KEY_B,
    ),
    "v0_addaddr_join_handmade": Expected(
        *(UE1, 40010, SERVER, 80, "3383d918", "dd5783bc"),
        joins=(Join(UE2, 40011, MCP, 80, 1),),
        version=0,
        initiator_key=V0_KEY_A,
        responder_key=V0_KEY_B,
    ),
}


def path_of(name: str) -> Path:
    return PCAPS / f"{name}.pcap"


def frames_of(name: str) -> list[tuple[int, bytes]]:
    """(link type, frame) of every packet."""
    return [(link, frame) for link, frame, _ in read_capture(path_of(name))]


def datagram_of(link: int, frame: bytes) -> tuple[int, bytes]:
    """(EtherType, network layer) of a frame of our captures, which have no VLAN tags."""
    if link == LinkType.ETHERNET:
        return int.from_bytes(frame[12:14], "big"), frame[14:]
    assert link == LinkType.COOKED_V2
    return int.from_bytes(frame[:2], "big"), frame[20:]


def ethernet_of(link: int, frame: bytes) -> bytes:
    """The frame as it is punted to a controller: with an Ethernet header."""
    ethertype, datagram = datagram_of(link, frame)
    macs = bytes.fromhex("0200000000ff020000000001")
    return macs + ethertype.to_bytes(2, "big") + datagram
