"""One capture in every container, byte order, link layer and compression: always the same connections."""

import bz2
import gzip
import json
import lzma
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from struct import pack

import pytest
from dpkt import pcapng

from steering.cli import compression
from steering.cli.capture import read_capture
from steering.cli.main import main
from steering.trace.frames import read_frame
from tests.support.golden_captures import CAPTURES, datagram_of, frames_of, path_of
from tests.support.link_layers import NAMES, dressed

PCAP = path_of("v1_join").read_bytes()
RIGHT = CAPTURES["v1_join"]


def _decode(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[dict[str, object]], str]:
    status = main(["decode", str(path), "--json"])
    out, err = capsys.readouterr()
    return status, json.loads(out) if out else [], err


def _connections(data: bytes, folder: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    path = folder / "capture"
    path.write_bytes(data)
    status, found, err = _decode(path, capsys)
    assert (status, err) == (0, "")
    return found


def _pcap(
    frames: list[bytes], link: int, order: str = "<", magic: int = 0xA1B2C3D4, extra: bytes = b""
) -> bytes:
    head = pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144, link)
    records = (
        pack(order + "IIII", 1_700_000_000 + at, at, len(frame), len(frame)) + extra + frame
        for at, frame in enumerate(frames)
    )
    return head + b"".join(records)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("magic", "extra"),
    [(0xA1B2C3D4, b""), (0xA1B23C4D, b""), (0xA1B2CD34, bytes(8))],
    ids=["us", "ns", "more"],
)
def test_every_form_of_pcap(
    order: str, magic: int, extra: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = [frame for _, frame in frames_of("v1_join")]
    data = _pcap(frames, 276, order, magic, extra)
    assert _connections(data, tmp_path, capsys) == _connections(PCAP, tmp_path, capsys)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("capture", ["v1_join", "v1_v6_join"])
def test_every_link_layer_gives_the_same_connections(
    name: str, capture: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rewritten = [dressed(name, datagram_of(link, frame)[1]) for link, frame in frames_of(capture)]
    data = _pcap([frame for _, frame in rewritten], rewritten[0][0])
    assert _connections(data, tmp_path, capsys) == _connections(
        path_of(capture).read_bytes(), tmp_path, capsys
    )


# tshark 4.0 knows neither of the two link types, and takes Ethernet over MPLS for data unless told.
NOT_IN_TSHARK = {"pppd", "labels alone", "ethernet over mpls"}


def test_every_link_layer_is_read_as_tshark_reads_it(tmp_path: Path) -> None:
    names = [name for name in NAMES if name not in NOT_IN_TSHARK]
    datagrams = [
        datagram_of(link, frame)[1]
        for capture in ("v1_join", "v1_v6_join")
        for link, frame in frames_of(capture)[:2]
    ]
    frames = [dressed(name, datagram) for name in names for datagram in datagrams]
    path = tmp_path / "all.pcapng"
    with path.open("wb") as file:
        interfaces = [
            pcapng.InterfaceDescriptionBlockLE(snaplen=65535, linktype=int(dressed(name, datagrams[0])[0]))
            for name in names
        ]
        writer = pcapng.Writer(file, idb=interfaces)
        for at, (_, frame) in enumerate(frames):
            block = pcapng.EnhancedPacketBlockLE(iface_id=at // len(datagrams), pkt_data=frame)
            writer.writepkt(block, ts=1e9 + at)
    columns = [word for field in ("tcp.srcport", "tcp.dstport", "tcp.seq_raw") for word in ("-e", field)]
    command = ["tshark", "-r", str(path), "-T", "fields", *columns]
    theirs = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    segments = [read_frame(frame, link) for link, frame in frames]
    assert theirs == [f"{one.sport}\t{one.dport}\t{one.seq}" for one in segments]
    assert [packet.link for packet in read_capture(path)] == [link for link, _ in frames]


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data)


EXPANDED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": _gzip,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.mark.parametrize("kind", EXPANDED)
def test_a_compressed_capture_is_read(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = _connections(PCAP, tmp_path, capsys)
    assert plain[0]["tokens"] == {"initiator": RIGHT.initiator_token, "responder": RIGHT.responder_token}
    assert _connections(EXPANDED[kind](PCAP), tmp_path, capsys) == plain
    # The compressors' tools write several streams into one file, and fill files up with zero bytes.
    pieces = EXPANDED[kind](PCAP[:1000]) + EXPANDED[kind](PCAP[1000:]) + bytes(8)
    assert _connections(pieces, tmp_path, capsys) == plain


@pytest.mark.parametrize("kind", EXPANDED)
@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9])
def test_a_compressed_capture_that_is_cut_off_is_told(
    kind: str, keep: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = EXPANDED[kind](PCAP)
    path = tmp_path / "cut"
    path.write_bytes(data[: int(len(data) * keep)])
    status, _, err = _decode(path, capsys)
    assert status == 2 and err.count("\n") == 1
    assert f"the {kind} data is damaged or cut off" in err or "cut off in the record" in err


@pytest.mark.parametrize("kind", EXPANDED)
def test_what_comes_out_of_a_compressed_file_is_bounded(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compression, "MAX_EXPANDED", len(PCAP) - 1)
    path = tmp_path / "large"
    path.write_bytes(EXPANDED[kind](PCAP))
    status, found, err = _decode(path, capsys)
    assert status == 2 and "only its beginning was read" in err and len(found) == 1
    monkeypatch.setattr(compression, "MAX_EXPANDED", len(PCAP))
    assert _decode(path, capsys)[0] == 0


def test_xz_may_not_ask_for_more_memory_than_its_own_levels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 20}]
    data = lzma.compress(PCAP, filters=filters)
    small, large = bytes([0x10]), bytes([0x27])  # the dictionary's size in the block header: 1 MiB, 3 GiB
    at = data.index(b"\x21\x01" + small, 12)
    # The header's check sum is made anew: only the memory is to be refused.
    header = data[12 : at + 2] + large + data[at + 3 : 12 + 4 * (data[12] + 1) - 4]
    forged = data[:12] + header + pack("<I", zlib.crc32(header)) + data[12 + len(header) + 4 :]
    path = tmp_path / "greedy.xz"
    path.write_bytes(forged)
    status, found, err = _decode(path, capsys)
    assert (status, found) == (2, []) and "the xz data is damaged" in err


@pytest.mark.parametrize(
    ("magic", "name"),
    [
        ("28b52ffd", "zstd"),
        ("04224d18", "lz4"),
        ("1f9d90", "compress"),
        ("4c5a495001", "lzip"),
        ("504b0304", "zip"),
        ("377abcaf271c", "7-Zip"),
        ("894c5a4f", "lzop"),
    ],
)
def test_a_compression_that_is_not_read_is_named(
    magic: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "capture"
    path.write_bytes(bytes.fromhex(magic) + PCAP)
    status, found, err = _decode(path, capsys)
    assert (status, found) == (2, []) and err.count("\n") == 1
    assert f"compressed with {name}, which is not read here: decompress the file first" in err
