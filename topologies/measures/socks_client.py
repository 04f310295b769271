"""`curl --socks5` on a LAN host, through microsocks at the MCP (S-F5): what the host sees of the signalling.

The CPE's relay takes the host's plain TCP to the SOCKS port as it does for any service, and speaks MPTCP to the MCP.
"""

import statistics
import sys
import time
from typing import Any

from topologies.kit.captures import Segment
from topologies.kit.kernel_counters import subflows
from topologies.kit.lab import Lab
from topologies.kit.plan import address_of
from topologies.kit.processes import StartedProcess, listeners

HOST, MCP, SERVER = "lan1", "core", "server"
HTTP = 8080
SMALL, LARGE = 100, 6_000_000  # bytes
TIMES = 20
Figures = dict[str, Any]


def measure(lab: Lab, port: int) -> Figures:
    """Fetch small files with and without SOCKS, one after the other, then a large file. `port`: that of microsocks.

    The times are those that curl measures, from its start to the first byte of the answer, in ms.
    """
    where = lab.host(SERVER)
    files = lab.record.directory / "http"
    files.mkdir()
    for name, size in (("small", SMALL), ("large", LARGE)):
        (files / name).write_bytes(bytes(size))
    command = [sys.executable, "-m", "http.server", str(HTTP), "--directory", str(files)]
    server = StartedProcess(lab.record, "http", command, where)
    server.wait_for(lambda: f":{HTTP} " in listeners(where), 10, f"no listener on {HTTP}")
    mcp = address_of(lab.plan.box(MCP), 4)
    through = ("--socks5", f"{mcp}:{port}")
    found: Figures = {"direct_ms": _first_byte(lab), "socks_ms": _first_byte(lab, *through)}
    seen = lab.capture_host(HOST)
    _first_byte(lab, *through, times=1)
    lab.stop_captures()
    found["times"] = TIMES
    found["round_trips"] = round_trips(seen.segments(), mcp)
    found |= _large(lab, port, through)
    server.end()
    return found


def round_trips(segments: list[Segment], mcp: str) -> int:
    """How often, after the handshake, the host waited for an answer of the MCP before it got the server's answer.

    A round trip is data of the host that is followed by data of the MCP. The last round trip is the request itself.
    """
    turns, asked = 0, False
    for segment in segments:
        if not segment.length:
            continue
        if segment.flow.dst == mcp:
            asked = True
        elif segment.flow.src == mcp and asked:
            turns, asked = turns + 1, False
    return max(0, turns - 1)


def _curl(lab: Lab, name: str, *options: str) -> list[str]:
    url = f"http://{address_of(lab.plan.box(SERVER), 4)}:{HTTP}/{name}"
    told = "%{http_code} %{size_download} %{time_starttransfer}"
    return ["curl", "-sS", "--max-time", "20", *options, "-o", "/dev/null", "-w", told, url]


def _first_byte(lab: Lab, *options: str, times: int = TIMES) -> Figures:
    took, failed = [], 0
    for _ in range(times):
        said, _error, status = lab.host(HOST).pexec(_curl(lab, "small", *options))
        words = said.split()
        if status or words[:2] != ["200", str(SMALL)]:
            failed += 1
        else:
            took.append(1000 * float(words[2]))
    return {"p50": round(statistics.median(took), 2) if took else 0.0, "failed": failed}


def _large(lab: Lab, port: int, through: tuple[str, ...]) -> Figures:
    """Fetch the large file; its subflows, as the MCP's kernel lists them."""
    curl = StartedProcess(lab.record, "curl-socks", _curl(lab, "large", *through), lab.host(HOST))
    held: dict[str, set[str]] = {}
    while curl.alive():
        for one in subflows(lab.host(MCP)):
            if one.flow.sport == port and one.state == "ESTAB":
                held.setdefault(one.own_token, set()).add(one.flow.dst)
        time.sleep(0.1)
    words = curl.log.read_text().split()
    return {
        "large": words[:2] == ["200", str(LARGE)],
        "sources": max((len(sources) for sources in held.values()), default=0),
    }
