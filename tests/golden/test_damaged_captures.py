"""`steering decode` on files that are no captures, are cut off or damaged: one line, status 2, no surprise."""

import json
from pathlib import Path
from struct import pack

import dpkt
import pytest
from dpkt import pcapng
from hypothesis import given
from hypothesis import strategies as st

from steering.cli.capture import CaptureError, read_capture
from steering.cli.main import main
from tests.support.golden_captures import frames_of, path_of

PCAP = path_of("v1_join").read_bytes()


def _pcapng() -> bytes:
    blocks = [
        bytes(pcapng.SectionHeaderBlockLE()),
        bytes(pcapng.InterfaceDescriptionBlockLE(snaplen=65535, linktype=276)),
    ]
    for _, frame in frames_of("v1_join")[:20]:
        blocks.append(bytes(pcapng.EnhancedPacketBlockLE(pkt_data=frame)))
    return b"".join(blocks)


PCAPNG = _pcapng()


def _run(data: bytes, folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    path = folder / "capture"
    path.write_bytes(data)
    status = main(["decode", str(path), "--json"])
    out, err = capsys.readouterr()
    return status, out, err


def _block(kind: int, length: int, rest: bytes = b"") -> bytes:
    return pack("<II", kind, length) + rest


ALL_LINKS = "0, 1, 9, 12, 14, 50, 51, 101, 104, 108, 109, 113, 166, 204, 219, 228, 229, 276"

NO_CAPTURES = {
    "empty": b"",
    "text": b"this is not a capture file at all, only some text",
    "short pcap header": PCAP[:20],
    "pcap record of 4 GiB": PCAP[:24] + pack("<IIII", 0, 0, 0xFFFFFFFF, 0xFFFFFFFF) + bytes(100),
    "pcapng magic only": b"\n\r\r\n",
    "pcapng byte order": b"\n\r\r\n" + pack("<I", 28) + b"abcd" + bytes(16),
    "pcapng block of 4 GiB": PCAPNG[:48] + _block(6, 0xFFFFFFF0, bytes(64)),
    "pcapng block of 0 bytes": PCAPNG[:48] + _block(6, 0, bytes(64)),
    "pcapng block of 7 bytes": PCAPNG[:48] + _block(99, 7, bytes(64)),
    "pcapng simple block too short": PCAPNG[:48] + _block(3, 8) * 2,
    "pcapng packet without interface": PCAPNG[:28] + PCAPNG[48:],
}


@pytest.mark.parametrize("name", NO_CAPTURES)
def test_no_capture(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = _run(NO_CAPTURES[name], tmp_path, capsys)
    assert (status, out) == (2, "")
    assert err.startswith("steering decode: ") and err.count("\n") == 1


@pytest.mark.parametrize("name", ["missing", "folder"])
def test_no_file(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "folder").mkdir()
    assert main(["decode", str(tmp_path / name)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and name in err


@pytest.mark.parametrize("data", [PCAP, PCAPNG], ids=["pcap", "pcapng"])
@pytest.mark.parametrize("cut", [1, 7, 60])
def test_what_stands_before_the_cut_is_listed(
    data: bytes, cut: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = _run(data[:-cut], tmp_path, capsys)
    assert status == 2 and "cut off" in err and err.count("\n") == 1
    assert json.loads(out)[0]["tokens"]["responder"] == "299d3aff"


def test_cut_between_the_header_of_a_record_and_its_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = int.from_bytes(PCAP[32:36], "little")
    status, _, err = _run(PCAP[: 24 + 16 + size + 16], tmp_path, capsys)
    assert status == 2 and "cut off" in err


def test_a_capture_without_packets_is_fine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for data in (PCAP[:24], PCAPNG[:48]):
        status, out, err = _run(data, tmp_path, capsys)
        assert (status, json.loads(out), err) == (0, [], "")


def test_link_type_that_we_do_not_know(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "wifi.pcap"
    with path.open("wb") as file:
        dpkt.pcap.Writer(file, linktype=105).writepkt(bytes(60), ts=1)
    assert main(["decode", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "link type 105" in err and f"these can: {ALL_LINKS}\n" in err


def test_frames_that_are_not_read_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "arp.pcap"
    with path.open("wb") as file:
        writer = dpkt.pcap.Writer(file, linktype=1)
        for _ in range(3):
            writer.writepkt(bytes(12) + b"\x08\x06" + bytes(28), ts=1)
    assert main(["decode", str(path)]) == 0
    assert "not-ip 3" in capsys.readouterr().out


def test_big_endian_and_nanosecond_pcap(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = frames_of("v1_join")
    for magic in (0xA1B2C3D4, 0xA1B23C4D):
        data = pack(">IHHiIII", magic, 2, 4, 0, 0, 65535, 276)
        data += b"".join(pack(">IIII", 1, 2, len(frame), len(frame)) + frame for _, frame in frames)
        status, out, _ = _run(data, tmp_path, capsys)
        assert status == 0 and json.loads(out)[0]["tokens"]["responder"] == "299d3aff"


def test_simple_packets_and_old_packets_of_pcapng(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = PCAPNG[:48]
    for at, (_, frame) in enumerate(frames_of("v1_join")):
        if at % 2:
            data += bytes(pcapng.PacketBlockLE(pkt_data=frame))
            continue
        length = 16 + len(frame) + -len(frame) % 4
        body = pack("<III", 3, length, len(frame)) + frame + bytes(-len(frame) % 4)
        data += body + pack("<I", length)
    status, out, _ = _run(data, tmp_path, capsys)
    assert status == 0 and json.loads(out)[0]["tokens"]["responder"] == "299d3aff"


def test_comments_of_pcapng_may_have_any_encoding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = b""
    for block in (PCAPNG[:28], PCAPNG[28:48]):
        comment = pack("<HH", 1, 6) + "größer".encode("latin-1") + bytes(2) + bytes(4)
        length = pack("<I", len(block) + len(comment))
        data += block[:4] + length + block[8:-4] + comment + length
    for _, frame in frames_of("v1_join"):
        packet = bytes(pcapng.EnhancedPacketBlockLE(pkt_data=frame))
        length = pack("<I", len(packet) + len(comment))
        data += packet[:4] + length + packet[8:-4] + comment + length
    status, out, err = _run(data, tmp_path, capsys)
    assert (status, err) == (0, "") and json.loads(out)[0]["tokens"]["responder"] == "299d3aff"


def test_a_packet_that_is_longer_than_its_block_is_damage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = len(PCAPNG) - len(bytes(pcapng.EnhancedPacketBlockLE(pkt_data=frames_of("v1_join")[19][1])))
    status, out, err = _run(PCAPNG[: at + 20] + pack("<I", 5_000) + PCAPNG[at + 24 :], tmp_path, capsys)
    assert status == 2 and "damaged" in err and json.loads(out)


@given(
    st.sampled_from([PCAP[:2000], PCAPNG[:2000]]),
    st.lists(st.tuples(st.integers(0, 1999), st.integers(0, 255)), min_size=1, max_size=8),
    st.integers(0, 2000),
)
def test_damage_anywhere_is_a_capture_error_at_most(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, damage: list[tuple[int, int]], size: int
) -> None:
    spoilt = bytearray(data)
    for at, value in damage:
        spoilt[at % len(spoilt)] = value
    path = tmp_path_factory.getbasetemp() / "spoilt"
    path.write_bytes(spoilt[:size])
    try:
        for link, frame, _ in read_capture(path):
            assert link >= 0 and len(frame) <= len(data)
    except CaptureError as error:
        assert "\n" not in str(error)
