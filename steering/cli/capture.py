"""Reading capture files, pcap and pcapng, frame by frame with bounded memory. dpkt knows the formats."""

from collections.abc import Iterator
from pathlib import Path
from struct import error as StructError
from struct import unpack
from typing import BinaryIO

import dpkt
from dpkt import pcapng

MAX_RECORD = 16 * 1024 * 1024  # bytes of one record or block; the largest snapshot length in use is 256 KiB
_LINK_TYPE = 0xFFFF  # the upper bits of pcap's field describe the frame check sequence
_SIMPLE_PACKET = 3


class CaptureError(Exception):
    """The file is not a capture, or is damaged. The text is one line for a person."""


class _Source:
    """What dpkt reads from: never more than MAX_RECORD at once, and half a record is an error."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.position = 0
        self.missing = 0  # bytes the last read asked for and did not get, at the very end of the file

    def read(self, size: int) -> bytes:
        if not 0 <= size <= MAX_RECORD:
            raise CaptureError(f"a record of impossible size at byte {self.position}")
        data = self._file.read(size)
        if data and len(data) < size:
            raise CaptureError(f"cut off in the record at byte {self.position}")
        self.missing = size - len(data)
        self.position += len(data)
        return data

    def read_whole(self, size: int) -> bytes:
        """Like `read`, but the end of the file is an error too."""
        data = self.read(size)
        if self.missing:
            raise CaptureError(f"cut off in the record at byte {self.position}")
        return data


def read_capture(path: Path) -> Iterator[tuple[int, bytes]]:
    """(link type, frame) of every packet in a capture file.

    Raises OSError as opening and reading do, and CaptureError where the file is no capture or gets damaged;
    what stands before the damage has been yielded by then.
    """
    with path.open("rb") as file:
        magic = file.peek(4)[:4]  # not a seek: the file may be a pipe
        source = _Source(file)
        frames = _read_pcapng(source) if magic == b"\n\r\r\n" else _read_pcap(source)
        try:
            yield from frames
        except (dpkt.Error, ValueError, StructError) as error:
            # dpkt's own texts name its classes; where it stopped is what helps.
            raise CaptureError(f"not a pcap or pcapng file, or damaged at byte {source.position}") from error


def _read_pcap(source: _Source) -> Iterator[tuple[int, bytes]]:
    reader = dpkt.pcap.Reader(source)
    link = reader.datalink() & _LINK_TYPE
    for _, frame in reader:
        if source.missing:
            raise CaptureError(f"cut off in the record at byte {source.position}")
        yield link, frame


def _read_pcapng(source: _Source) -> Iterator[tuple[int, bytes]]:
    """Block by block: dpkt's Reader knows one interface only, a capture may have one link type for each."""
    order = ">"
    links: list[int] = []
    while head := source.read(8):
        if head[:4] == b"\n\r\r\n":
            head += source.read_whole(4)
            order = "<" if head[8:] == b"\x4d\x3c\x2b\x1a" else ">"
            links = []  # interfaces are numbered anew in each section
        kind, length = unpack(order + "II", head[:8])
        block = head + source.read_whole(length - len(head))
        if kind == pcapng.PCAPNG_BT_SHB:
            (pcapng.SectionHeaderBlockLE if order == "<" else pcapng.SectionHeaderBlock)(block)
        elif kind == pcapng.PCAPNG_BT_IDB:
            interface = (
                pcapng.InterfaceDescriptionBlockLE if order == "<" else pcapng.InterfaceDescriptionBlock
            )
            links.append(interface(block).linktype)
        elif kind in (pcapng.PCAPNG_BT_EPB, pcapng.PCAPNG_BT_PB):
            number, frame = _packet(block, kind, order)
            yield _link_of(links, number, source), frame
        elif kind == _SIMPLE_PACKET:
            # dpkt has no class for it: original length, then the packet, filled up to 4 bytes.
            (size,) = unpack(order + "I", block[8:12])
            yield _link_of(links, 0, source), block[12 : min(12 + size, len(block) - 4)]


def _packet(block: bytes, kind: int, order: str) -> tuple[int, bytes]:
    if kind == pcapng.PCAPNG_BT_EPB:
        packet = (pcapng.EnhancedPacketBlockLE if order == "<" else pcapng.EnhancedPacketBlock)(block)
    else:
        packet = (pcapng.PacketBlockLE if order == "<" else pcapng.PacketBlock)(block)
    return packet.iface_id, packet.pkt_data


def _link_of(links: list[int], number: int, source: _Source) -> int:
    if number >= len(links):
        raise CaptureError(f"a packet of an interface that is not described, before byte {source.position}")
    return links[number]
