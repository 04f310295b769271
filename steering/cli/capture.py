"""Reads capture files (pcap and pcapng) packet by packet, with bounded memory. dpkt parses the blocks of pcapng."""

from collections.abc import Iterator
from pathlib import Path
from struct import Struct, pack, unpack
from struct import error as StructError
from typing import NamedTuple

import dpkt
from dpkt import pcapng

from steering.cli.compression import MAGIC_LENGTH, ByteSource, CompressionError, expanded

MAX_RECORD = 16 * 1024 * 1024  # bytes of one record or block; the largest snapshot length in use is 256 KiB
_LINK_TYPE = 0xFFFF  # the upper bits of pcap's field describe the frame check sequence
_SIMPLE_PACKET = 3
_PCAP_HEADER = 24
_PACKETS = frozenset((pcapng.PCAPNG_BT_EPB, pcapng.PCAPNG_BT_PB))
# Bytes of a block of pcapng before its options, and before the data of a packet.
_FIXED = {pcapng.PCAPNG_BT_SHB: 24, pcapng.PCAPNG_BT_IDB: 16, **dict.fromkeys(_PACKETS, 28)}
# pcap's magic number as it stands in the file -> byte order, and length of a record's header. There are files with
# microseconds, files with nanoseconds, and files of Kuznetzov's patch with three more fields.
_PCAP = {
    pack(order + "I", magic): (order, length)
    for magic, length in ((0xA1B2C3D4, 16), (0xA1B23C4D, 16), (0xA1B2CD34, 24))
    for order in "><"
}


class CaptureError(Exception):
    """The file is not a capture, or is damaged. The text is one line for a person."""


class Packet(NamedTuple):
    """One packet: its link type, the bytes that were captured, and its length on the wire."""

    link: int
    frame: bytes
    length: int


class _Source:
    """Reads a file in records: never more than MAX_RECORD bytes at once. A record that is cut off is an error."""

    def __init__(self, file: ByteSource) -> None:
        self._file = file
        self.position = 0

    def read(self, size: int) -> bytes:
        """`size` bytes, or b"" at the end of the file."""
        if not 0 <= size <= MAX_RECORD:
            raise CaptureError(f"a record of impossible size at byte {self.position}")
        data = self._file.read(size)
        if data and len(data) < size:
            raise CaptureError(f"cut off in the record at byte {self.position}")
        self.position += len(data)
        return data

    def read_whole(self, size: int) -> bytes:
        """`size` bytes. At the end of the file it raises CaptureError."""
        data = self.read(size)
        if len(data) < size:
            raise CaptureError(f"cut off in the record at byte {self.position}")
        return data


def read_capture(path: Path) -> Iterator[Packet]:
    """Every packet of a capture file, which may be compressed (gzip, bzip2, xz).

    Raises OSError where the file cannot be opened or read, and CaptureError where it is no capture or is damaged. The
    packets before the damage are yielded first.
    """
    with path.open("rb") as file:
        magic = file.peek(MAGIC_LENGTH)[:MAGIC_LENGTH]  # peek and not seek, since the file may be a pipe
        try:
            yield from _read(_Source(expanded(file, magic)))
        except CompressionError as error:
            raise CaptureError(str(error)) from error


def _read(source: _Source) -> Iterator[Packet]:
    try:
        head = source.read(4)
        if head == b"\n\r\r\n":
            yield from _read_pcapng(source, head)
        elif head in _PCAP:
            yield from _read_pcap(source, *_PCAP[head])
        else:
            raise ValueError
    except (dpkt.Error, ValueError, StructError) as error:
        # The texts of dpkt name its own classes. The position of the damage helps more.
        raise CaptureError(f"not a pcap or pcapng file, or damaged at byte {source.position}") from error


def _read_pcap(source: _Source, order: str, record: int) -> Iterator[Packet]:
    header = source.read_whole(_PCAP_HEADER - 4)
    link = unpack(order + "I", header[-4:])[0] & _LINK_TYPE
    sizes = Struct(order + "8xII")  # skips the time; then bytes captured, and bytes on the wire
    while head := source.read(record):
        captured, length = sizes.unpack_from(head)
        yield Packet(link, source.read_whole(captured), length)


class _Interfaces:
    """The interfaces of a pcapng section, numbered in the order of their descriptions."""

    def __init__(self) -> None:
        self._links: list[int] = []
        self.snapshot_of_first = 0  # bytes, 0: unlimited

    def add(self, link: int, snapshot: int) -> None:
        if not self._links:
            self.snapshot_of_first = snapshot
        self._links.append(link)

    def link_of(self, number: int, source: _Source) -> int:
        if number >= len(self._links):
            raise CaptureError(
                f"a packet of an interface that is not described, before byte {source.position}"
            )
        return self._links[number]


def _read_pcapng(source: _Source, magic: bytes) -> Iterator[Packet]:
    """Read pcapng block by block. dpkt's own Reader supports only one interface; a capture may have several, of
    different link types."""
    order = ">"
    interfaces = _Interfaces()
    head = magic + source.read_whole(4)
    while head:
        if head[:4] == b"\n\r\r\n":
            head += source.read_whole(4)
            order = "<" if head[8:] == b"\x4d\x3c\x2b\x1a" else ">"
            interfaces = _Interfaces()  # numbered anew in each section
        kind, length = unpack(order + "II", head[:8])
        block = head + source.read_whole(length - len(head))
        if kind in _FIXED:
            block = _without_options(block, kind, order)
        little = order == "<"
        if kind == pcapng.PCAPNG_BT_SHB:
            (pcapng.SectionHeaderBlockLE if little else pcapng.SectionHeaderBlock)(block)
        elif kind == pcapng.PCAPNG_BT_IDB:
            described = (pcapng.InterfaceDescriptionBlockLE if little else pcapng.InterfaceDescriptionBlock)(
                block
            )
            interfaces.add(described.linktype, described.snaplen)
        elif kind in _PACKETS:
            packet = _packet_block(block, kind, little)
            yield Packet(interfaces.link_of(packet.iface_id, source), packet.pkt_data, packet.pkt_len)
        elif kind == _SIMPLE_PACKET:
            # A simple packet block, for which dpkt has no class: the original length, then the packet, padded to 4
            # bytes.
            (size,) = unpack(order + "I", block[8:12])
            captured = min(size, len(block) - 16, interfaces.snapshot_of_first or size)
            yield Packet(interfaces.link_of(0, source), block[12 : 12 + captured], size)
        head = source.read(8)


def _without_options(block: bytes, kind: int, order: str) -> bytes:
    """A block without its options, which nothing here needs. dpkt refuses a whole block for a comment that is not UTF-8.
    Raises ValueError for a block whose lengths do not fit each other."""
    end = _FIXED[kind]
    if kind in _PACKETS:
        (captured,) = unpack(order + "I", block[20:24])
        end += captured
    if end + 4 > len(block) or block[-4:] != block[4:8]:
        raise ValueError
    end = min(end + -end % 4, len(block) - 4)  # the padding of a packet, where it is there
    length = pack(order + "I", end + 4)
    return block[:4] + length + block[8:end] + length


def _packet_block(block: bytes, kind: int, little: bool) -> pcapng.EnhancedPacketBlock | pcapng.PacketBlock:
    if kind == pcapng.PCAPNG_BT_EPB:
        return (pcapng.EnhancedPacketBlockLE if little else pcapng.EnhancedPacketBlock)(block)
    return (pcapng.PacketBlockLE if little else pcapng.PacketBlock)(block)
