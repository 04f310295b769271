"""Small captures that were once read wrongly, and the right reading of each."""

import json
import re
from pathlib import Path

import pytest

from steering.cli.commands import decode
from steering.cli.main import main

CASES = Path(__file__).resolve().parent / "cases"
TOKENS = {"initiator": "1dce6604", "responder": "7b981f5b"}


def _decode(name: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    assert main(["decode", str(CASES / f"{name}.pcap"), "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    found = json.loads(out)
    assert isinstance(found, list)
    return found


def _only(name: str, capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, object], list[dict[str, object]]]:
    (connection,) = _decode(name, capsys)
    assert (connection["version"], connection["tokens"], connection["fallback"]) == (1, TOKENS, False)
    subflows = connection["subflows"]
    assert isinstance(subflows, list)
    return connection, subflows


def test_a_reset_before_the_syn_ack_is_not_believed_of_a_join_that_lives_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, (first, join) = _only("rst_before_synack_join_lives", capsys)
    assert first["reset"] is None
    assert (join["reset"], join["hmac"], join["address_id"]) == (None, "ok", 3)


def test_a_mapping_of_length_zero_on_segments_without_data_is_no_fallback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, subflows = _only("dll0_on_pure_ack", capsys)
    assert len(subflows) == 1


def test_a_fast_close_with_another_key_is_not_believed_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    _, (first,) = _only("fastclose_wrong_key", capsys)
    assert (first["fastclose"], first["fastclose_refused"], first["reset"]) == (False, True, None)
    assert main(["decode", str(CASES / "fastclose_wrong_key.pcap")]) == 0
    assert "fast close with a wrong key, ignored" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["pppoe", "null"])
def test_the_link_layer_changes_nothing(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = _decode(name, capsys)
    assert found == _decode("raw_reference", capsys)
    _, subflows = _only(name, capsys)
    assert [subflow["hmac"] for subflow in subflows] == ["unseen", "ok"]


def test_a_frame_of_ip_length_zero_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    _only("tso_total_length_zero", capsys)
    assert main(["decode", str(CASES / "tso_total_length_zero.pcap")]) == 0
    assert "left out" not in capsys.readouterr().out


@pytest.mark.parametrize("copies", [1, 2])
def test_more_connections_than_are_kept_is_told_to_programs(
    copies: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode, "MAX_LEGS", copies)
    status = main(["decode", str(CASES / "raw_reference.pcap"), "--json"])
    out, err = capsys.readouterr()
    (connection,) = json.loads(out)
    assert (status, connection["truncated"], len(connection["subflows"])) == (
        (2, True, 1) if copies == 1 else (0, False, 2)
    )
    assert ("more than 1 TCP connections: 4 segments of further ones were left out" in err) == (copies == 1)


def test_a_capture_that_is_cut_off_is_told_to_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cut.pcap"
    path.write_bytes((CASES / "raw_reference.pcap").read_bytes()[:-3])
    assert main(["decode", str(path), "--json"]) == 2
    out, err = capsys.readouterr()
    assert [connection["truncated"] for connection in json.loads(out)] == [True] and "cut off" in err


def test_the_document_shows_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    document = (CASES.parents[2] / "docs" / "decode.rst").read_text()
    for options in ([], ["--json"]):
        main(["decode", str(CASES / "raw_reference.pcap"), *options])
        printed = capsys.readouterr().out
        assert "".join(f"    {line}\n" for line in printed.splitlines()) in document
    (connection,) = _decode("raw_reference", capsys)
    subflow = _only("raw_reference", capsys)[1][0]
    told = set(re.findall(r"``(\w+)``", document.split("For programs\n")[1]))
    addresses = {"src", "sport", "dst", "dport", "subflows"}
    assert {*connection, *subflow} - addresses <= told


def test_the_help_explains_what_is_listed_and_the_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["decode", "--help"])
    words = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0
    for part in ("fell back to plain TCP", "gzip, bzip2 or xz", "The status is 0, or 2", '"truncated" true'):
        assert part in words


def test_frames_that_are_left_out_are_told_beside_the_json_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "not-ip.pcap"
    data = bytearray((CASES / "raw_reference.pcap").read_bytes())
    data[24 + 16] = 0x75  # the IP version of the first packet
    path.write_bytes(data)
    assert main(["decode", str(path), "--json"]) == 0
    out, err = capsys.readouterr()
    assert len(json.loads(out)) == 1 and "frames left out: not-ip 1" in err
