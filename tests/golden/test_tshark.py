"""Our reading of every captured frame against tshark's own MPTCP dissection of the same file."""

import subprocess
from ipaddress import ip_address

import pytest

from steering.trace.frames import read_frame
from steering.wire.crypto import token
from steering.wire.decode import mptcp_options
from steering.wire.mptcp import (
    AddAddr,
    MpCapable,
    MpFastclose,
    MpJoinAck,
    MpJoinSyn,
    MpJoinSynAck,
    MpPrio,
    MptcpOption,
    MpTcprst,
    RemoveAddr,
)
from steering.wire.options import MPTCP, walk_options
from tests.support.golden_captures import CAPTURES, frames_of, path_of

PREFIX = "tcp.options.mptcp."
FIELDS = {
    "subtype": PREFIX + "subtype",
    "version": PREFIX + "version",
    "sender_key": PREFIX + "sendkey",
    "receiver_key": PREFIX + "recvkey",
    "join_token": PREFIX + "recvtok",
    "address_id": PREFIX + "addrid",
    "backup": PREFIX + "backup.flag",
    "reason": PREFIX + "rst_reason",
    "transient": PREFIX + "flag_T.flag",
    "nonce": PREFIX + "sendrand",
    "short_hmac": PREFIX + "sendtrunchmac",
    "long_hmac": PREFIX + "sendhmac",
    "add_addr_hmac": PREFIX + "addaddrtrunchmac",
    "ipv4": PREFIX + "ipv4",
    "port": PREFIX + "port",
    "key_token": "mptcp.expected_token",
}


def _tshark(name: str) -> list[dict[str, list[str]]]:
    """For each frame, the values of each field in order."""
    columns = [word for field in FIELDS.values() for word in ("-e", field)]
    command = ["tshark", "-r", str(path_of(name)), "-T", "fields", "-E", "aggregator=,", *columns]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = []
    for line in run.stdout.split("\n")[:-1]:
        cells = line.split("\t")
        rows.append({key: cell.split(",") if cell else [] for key, cell in zip(FIELDS, cells, strict=True)})
    return rows


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _ours(options: list[MptcpOption], subtypes: list[int]) -> dict[str, list[object]]:
    seen: dict[str, list[object]] = {key: [] for key in FIELDS}
    seen["subtype"] = list(subtypes)
    for option in options:
        match option:
            case MpCapable():
                seen["version"].append(option.version)
                seen["sender_key"] += [_number(option.sender_key)] if option.sender_key else []
                seen["receiver_key"] += [_number(option.receiver_key)] if option.receiver_key else []
                if option.sender_key:
                    seen["key_token"].append(_number(token(option.version, option.sender_key)))
            case MpJoinSyn():
                seen["join_token"].append(_number(option.token))
                seen["address_id"].append(option.address_id)
                seen["backup"].append(int(option.backup))
                seen["nonce"].append(_number(option.nonce))
            case MpJoinSynAck():
                seen["address_id"].append(option.address_id)
                seen["backup"].append(int(option.backup))
                seen["nonce"].append(_number(option.nonce))
                seen["short_hmac"].append(_number(option.hmac))
            case MpJoinAck():
                seen["long_hmac"].append(option.hmac.hex())
            case AddAddr():
                seen["address_id"].append(option.address_id)
                seen["ipv4"].append(str(ip_address(option.address)))
                seen["port"] += [option.port] if option.port is not None else []
                seen["add_addr_hmac"] += [_number(option.hmac)] if option.hmac else []
            case RemoveAddr():
                seen["address_id"] += list(option.address_ids)
            case MpPrio():
                seen["backup"].append(int(option.backup))
            case MpTcprst():
                seen["reason"].append(option.reason)
                seen["transient"].append(int(option.transient))
            case MpFastclose():
                seen["receiver_key"].append(_number(option.receiver_key))
    return seen


def _values(key: str, cells: list[str]) -> list[object]:
    if key in ("ipv4", "long_hmac"):
        return [cell.replace(":", "") if key == "long_hmac" else cell for cell in cells]
    return [int(cell, 0) for cell in cells]


@pytest.mark.parametrize("name", CAPTURES)
def test_same_as_tshark(name: str) -> None:
    version = 0 if name.startswith("v0") else 1
    rows = _tshark(name)
    frames = frames_of(name)
    assert len(rows) == len(frames)
    seen = set()
    for number, (row, (link, frame)) in enumerate(zip(rows, frames, strict=True), start=1):
        segment = read_frame(frame, link)
        raw = [option for kind, option in walk_options(segment.options) if kind == MPTCP]
        subtypes = [option[2] >> 4 for option in raw]
        options = mptcp_options(segment.options, version)
        assert len(options) == len(raw), f"frame {number}: an option was not understood"
        ours = _ours(options, subtypes)
        theirs = {key: _values(key, cells) for key, cells in row.items()}
        assert ours == theirs, f"frame {number}"
        seen |= set(subtypes)
    assert bool(seen) == (name != "plain_tcp")
