"""Captures: tcpdump at a port, read by tshark. A capture that lost packets proves nothing, so reading it is an
error."""

import re
import signal
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from topologies.kit.kernel_counters import FiveTuple
from topologies.kit.network import LabHost
from topologies.kit.processes import LabError, StartedProcess
from topologies.kit.records import Record

SNAP = 160  # Ethernet 14, VLAN 4, IPv6 40, TCP with all options 60, and some data
BUFFER_KIB = 8192
JOIN, CAPABLE, ADD_ADDR = "1", "0", "3"
C_FLAG = "tcp.flags.syn == 1 && tcp.flags.ack == 1 && tcp.options.mptcp.nomoresubflows.flag == 1 && !tcp.analysis.retransmission"
_DROPPED = re.compile(r"(\d+) packets? dropped by kernel")
_FIELDS = (
    "frame.time_epoch", "ip.src", "ipv6.src", "tcp.srcport", "ip.dst", "ipv6.dst", "tcp.dstport",
    "tcp.flags", "tcp.len", "tcp.options.mptcp.subtype", "tcp.options.mptcp.recvtok", "eth.src",
    "tcp.options.mptcp.sendkey", "tcp.seq_raw", "tcp.options", "frame.len",
)  # fmt: skip


@dataclass(frozen=True)
class Segment:
    """One TCP segment.

    `options`: its MPTCP subtypes as digits. `token`: of a join's SYN; `key`: of the sender's MP_CAPABLE; both in hex,
    or empty. `raw_options`: all bytes of TCP options in hex. `size`: bytes of the whole frame.
    """

    time: float
    flow: FiveTuple
    flags: int
    length: int
    options: tuple[str, ...]
    token: str
    source_mac: str
    key: str
    sequence: int
    raw_options: str
    size: int = 0

    @property
    def syn(self) -> bool:
        """Whether it is a SYN without ACK."""
        return self.flags & 0x12 == 0x02

    @property
    def syn_ack(self) -> bool:
        """Whether it is a SYN/ACK."""
        return self.flags & 0x12 == 0x12


class Capture:
    """A capture at one interface of a host, or of a switch where `host` is None. It may still run or have ended."""

    def __init__(
        self,
        record: Record,
        interface: str,
        host: LabHost | None = None,
        what: str = "tcp",
        snap: int = SNAP,
    ) -> None:
        number = len(list(record.directory.glob("*.pcap")))
        what_it_is = f"capture-{number}-{interface}"
        self.file: Path = record.directory / f"{what_it_is}.pcap"
        self.file.touch()
        command = ["tcpdump", "-i", interface, "-w", str(self.file), "-s", str(snap), "-B", str(BUFFER_KIB)]
        command += ["-n", "-U", "-Z", "root", *what.split()]
        self._running = StartedProcess(record, what_it_is, command, host)
        self._running.wait_for(lambda: "listening on" in self._log(), 5, "no capture")
        self._segments: list[Segment] | None = None

    def _log(self) -> str:
        return self._running.log.read_text(errors="replace")

    def stop(self) -> None:
        """End the capture. Raises LabError if it lost packets, as nothing could be concluded from the rest."""
        self._running.end(signal.SIGINT)
        dropped = _DROPPED.search(self._log())
        if dropped is None or dropped[1] != "0":
            raise LabError(f"capture at {self.file.stem} lost packets: {self._running.last_line()}")

    def segments(self) -> list[Segment]:
        """Every TCP segment, in order. The file is read once."""
        if self._segments is None:
            self._segments = list(read(self.file))
        return self._segments


def frame_fields(
    file: Path, display_filter: str, fields: Iterable[str], options: Iterable[str] = ()
) -> list[str]:
    """A line for each frame that tshark's display filter matches: its fields, with | between them. `options`: further ones of tshark.
    Raises LabError."""
    command = [
        "tshark",
        "-n",
        "-r",
        str(file),
        "-Y",
        display_filter,
        "-T",
        "fields",
        "-E",
        "separator=|",
        *options,
    ]
    for field in fields:
        command += ["-e", field]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        raise LabError(f"tshark cannot read {file.name}: {found.stderr.strip().splitlines()[-1]}")
    return found.stdout.splitlines()


def read(file: Path) -> Iterator[Segment]:
    """TCP segments of a capture file as tshark dissects them. Raises LabError."""
    options = ["-o", "tcp.analyze_sequence_numbers:FALSE", "-o", "tcp.desegment_tcp_streams:FALSE"]
    for line in frame_fields(file, "tcp && !icmp && !icmpv6", _FIELDS, options):
        cells = line.split("|")
        (
            time,
            src4,
            src6,
            sport,
            dst4,
            dst6,
            dport,
            flags,
            length,
            subtypes,
            token,
            mac,
            key,
            seq,
            raw,
            size,
        ) = cells
        yield Segment(
            float(time),
            FiveTuple(src4 or src6, int(sport), dst4 or dst6, int(dport)),
            int(flags, 16),
            int(length or 0),
            tuple(s for s in subtypes.split(",") if s),
            _hex(token, 8),
            mac,
            _hex(key, 16),
            int(seq),
            raw,
            int(size),
        )


def distinct(segments: Iterable[Segment]) -> list[Segment]:
    """Of each flow and sequence number the first segment: a SYN that TCP repeated is no second connection, nor is its answer
    a second one. For segments of one kind, such as SYNs."""
    found: dict[tuple[FiveTuple, int], Segment] = {}
    for one in segments:
        found.setdefault((one.flow, one.sequence), one)
    return list(found.values())


def _hex(number: str, digits: int) -> str:
    """The number in hex of that many digits. tshark writes some fields in decimal and others as 0x and hex."""
    return f"{int(number, 0):0{digits}x}" if number else ""


def frames(file: Path, display_filter: str) -> int:
    """How many frames of a capture tshark's display filter matches. Raises LabError."""
    return len(frame_times(file, display_filter))


def frame_times(file: Path, display_filter: str) -> list[float]:
    """When these frames came, in seconds since 1970. Raises LabError."""
    return list(map(float, frame_fields(file, display_filter, ["frame.time_epoch"])))
