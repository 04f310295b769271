"""`steering decode --json` on every capture, in every container and link type, against the notes."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import dpkt
import pytest
from dpkt import pcapng

from steering.cli.main import main
from steering.trace.links import LinkType
from tests.support.golden_captures import (
    CAPTURES,
    Expected,
    Join,
    datagram_of,
    ethernet_of,
    frames_of,
    path_of,
)

REVERSE = "v1_server_initiated_reverse_join"


def _decode(path: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    assert main(["decode", str(path), "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    answer = json.loads(out)
    assert isinstance(answer, list)
    return answer


def _reset(reset: tuple[int, bool] | None) -> dict[str, object] | None:
    return None if reset is None else {"reason": reset[0], "transient": reset[1]}


def _join(join: Join) -> dict[str, object]:
    return {
        "src": join.src,
        "sport": join.sport,
        "dst": join.dst,
        "dport": join.dport,
        "join": True,
        "address_id": join.address_id,
        "backup": join.backup,
        "hmac": join.hmac,
        "reset": _reset(join.reset),
        "fastclose": join.fastclose,
        "fastclose_refused": False,
    }


def _first(expected: Expected) -> dict[str, object]:
    return {
        "src": expected.src,
        "sport": expected.sport,
        "dst": expected.dst,
        "dport": expected.dport,
        "join": False,
        "address_id": 0,
        "backup": False,
        "hmac": "unseen",
        "reset": _reset(expected.reset),
        "fastclose": expected.fastclose,
        "fastclose_refused": False,
    }


def _json(name: str) -> list[dict[str, object]]:
    """What the notes say, in the form the command prints."""
    expected = CAPTURES[name]
    connection: dict[str, object] = {
        "version": expected.version,
        "tokens": {"initiator": expected.initiator_token, "responder": expected.responder_token},
        "fallback": expected.fallback,
        "begun_before": False,
        "deny_join": {"initiator": False, "responder": expected.responder_denies_joins},
        "keys_differ": False,
        "truncated": False,
        "subflows": [_first(expected), *map(_join, expected.joins)],
    }
    if name != REVERSE:
        return [connection]
    # This capture also holds the relay's plain leg, with the same addresses and ports.
    plain: dict[str, object] = {
        "version": None,
        "tokens": {"initiator": None, "responder": None},
        "fallback": False,
        "begun_before": False,
        "deny_join": {"initiator": False, "responder": False},
        "keys_differ": False,
        "truncated": False,
        "subflows": [_first(expected)],
    }
    return [plain, connection]


def test_every_capture_has_an_expectation() -> None:
    assert {path.stem for path in path_of("x").parent.glob("*.pcap")} == set(CAPTURES)


@pytest.mark.row("D-2.3", "D-2.5")
@pytest.mark.parametrize("name", CAPTURES)
def test_decode(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _decode(path_of(name), capsys) == _json(name)


def _cooked_v1(ethertype: int, datagram: bytes) -> bytes:
    return bytes.fromhex("0000 0001 0006 020000000001 0000") + ethertype.to_bytes(2, "big") + datagram


def _tagged(ethertype: int, datagram: bytes) -> bytes:
    frame = bytes.fromhex("0200000000ff020000000001 88a8 0064 8100 0065")
    return frame + ethertype.to_bytes(2, "big") + datagram


def _raw(ethertype: int, datagram: bytes) -> bytes:
    return datagram


LINKS = {
    "raw": (LinkType.RAW, _raw),
    "raw-old": (LinkType.RAW_OLD, _raw),
    "cooked-v1": (LinkType.COOKED_V1, _cooked_v1),
    "qinq": (LinkType.ETHERNET, _tagged),
}


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("name", sorted(set(CAPTURES) - {REVERSE}))
def test_decode_other_link_types(
    name: str, link: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    number, rewrite = LINKS[link]
    path = tmp_path / "rewritten.pcap"
    with path.open("wb") as file:
        writer = dpkt.pcap.Writer(file, linktype=int(number))
        for at, (old, frame) in enumerate(frames_of(name)):
            writer.writepkt(rewrite(*datagram_of(old, frame)), ts=1e9 + at)
    assert _decode(path, capsys) == _json(name)


@pytest.mark.parametrize("name", CAPTURES)
def test_decode_pcapng(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "converted.pcapng"
    subprocess.run(["editcap", "-F", "pcapng", path_of(name), path], check=True, capture_output=True)
    assert path.read_bytes()[:4] == b"\n\r\r\n"
    assert _decode(path, capsys) == _json(name)


def test_decode_pcapng_with_a_link_type_for_each_interface(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "two.pcapng"
    kinds = [LinkType.COOKED_V2, LinkType.ETHERNET]
    interfaces = [pcapng.InterfaceDescriptionBlockLE(snaplen=65535, linktype=int(kind)) for kind in kinds]
    with path.open("wb") as file:
        writer = pcapng.Writer(file, idb=interfaces)
        for at, (link, frame) in enumerate(frames_of("v1_join")):
            data = ethernet_of(link, frame) if at % 2 else frame
            writer.writepkt(pcapng.EnhancedPacketBlockLE(iface_id=at % 2, pkt_data=data), ts=1e9 + at)
    assert _decode(path, capsys) == _json("v1_join")


def _twice(frames: list[bytes]) -> list[bytes]:
    return [frame for frame in frames for _ in range(2)]


def _all_again(frames: list[bytes]) -> list[bytes]:
    return frames[:12] + frames[:12] + frames[12:]


@pytest.mark.parametrize("repeat", [_twice, _all_again])
@pytest.mark.parametrize("name", ["v1_join", "v1_fastclose", "v1_v6_join", "v1_fallback_server_plain"])
def test_decode_packets_captured_twice(
    name: str,
    repeat: Callable[[list[bytes]], list[bytes]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "twice.pcap"
    frames = frames_of(name)
    with path.open("wb") as file:
        writer = dpkt.pcap.Writer(file, linktype=frames[0][0])
        for at, frame in enumerate(repeat([frame for _, frame in frames])):
            writer.writepkt(frame, ts=1e9 + at)
    assert _decode(path, capsys) == _json(name)


def test_decode_the_reverse_capture_without_link_addresses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Sequence numbers alone have to tell the two legs apart.
    path = tmp_path / "raw.pcap"
    with path.open("wb") as file:
        writer = dpkt.pcap.Writer(file, linktype=int(LinkType.RAW))
        for at, (link, frame) in enumerate(frames_of(REVERSE)):
            writer.writepkt(datagram_of(link, frame)[1], ts=1e9 + at)
    assert _decode(path, capsys) == _json(REVERSE)


def test_decode_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", str(path_of("v1_join_wrong_mcp_tcprst"))]) == 0
    out = capsys.readouterr().out
    assert "MPTCP version 1, initiator token 0c5483f3, responder token 2543ae1d" in out
    refused = next(line for line in out.splitlines() if line.startswith("join"))
    assert "10.2.0.2:49391" in refused and "reset, mptcp error" in refused


@pytest.mark.parametrize("name", CAPTURES)
def test_no_key_is_ever_shown(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    expected = CAPTURES[name]
    for options in ([], ["--json"]):
        main(["decode", str(path_of(name)), *options])
        out = capsys.readouterr().out
        for key in (expected.initiator_key, expected.responder_key):
            assert not key or key not in out
