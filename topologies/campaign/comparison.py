"""Writes docs/compare.rst from the report of `steering lab run compare --json FILE`.

usage: python -m topologies.campaign.comparison [FILE]      (build/labs/compare.json where none is given)
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
REPORT, TARGET = ROOT / "build" / "labs" / "compare.json", ROOT / "docs" / "compare.rst"
Json = dict[str, Any]

HEAD = """\
The three proposals, measured
=============================

.. Written by topologies/campaign/comparison.py from the report of steering lab run compare; edit that, not this.

The slides leave three ways open for a CPE's connections to find an MCP that lies on no natural path: to put the
destination at the head of the data (#1, here Convert, RFC 8803), to signal it first (#2, here SOCKS 5), and to treat
it as a routing problem (#3, this project). ``steering lab run compare`` runs all three on the network of
``hybrid-access``: a plain host, a CPE with an MCP of its own over DSL and LTE (20 Mbit/s each), the network's MCP off
the path, a plain server. The same two relays serve every way; in the last column Debian's ``microsocks`` under
``mptcpize`` stands in the place of the network's.
"""

CURL = """\
SOCKS by a LAN host itself
--------------------------

``curl --socks5`` of a LAN host that knows the MCP, through ``microsocks``; the CPE's relay takes its connection like any
other, so that {sources} of the CPE's addresses reach ``microsocks``. The host waits for {round_trips} further round trips;
the first byte of a small file is there after {socks:g} ms in place of {direct:g} ms (p50 of {times}, curl's own start
included; without SOCKS the file comes through the CPE's NAT).

"""

TAIL = """\
What the numbers do not show
----------------------------

* *Delay.* The links have a rate and no delay: this kernel has no netem. A round trip costs next to nothing here, so SOCKS,
  which takes two more of them, looks no slower than Convert, which takes one at most. With a delay between CPE and MCP
  each would add its own; routing adds none, and in their place the controller's answer and the entries in the switches.
  Proactive entries avoid both (docs/proactive.rst) and are not used here.
* *A quiet machine.* Switches are Open vSwitch in user space; hosts, switches, controller and relays share two cores, with
  whoever else is at work. Runs on a busy one gave 8 to 61 ms for routing's p50, 10 to 73 for the others', so nobody should
  read a rank from this table's first line.
* *CPU.* Seconds are those of the relay's process alone, in Python: the kernel's share and the controller's are not in them.
  They compare ways, and say nothing of what a relay in another language would need. A timer tick is 10 ms, so that of
  the short flow nothing is told.
* *A port that the network does not know.* ``microsocks`` listens where the controller knows of no MCP's service: joins to
  it are looked at one by one, with entries of their own. The relay's own ports are known, and have none.
* *Sessions from outside.* The LAN is behind a NAT, so the CPE has to pass a port on, whatever the way. Routing then leads
  the server's plain TCP to the MCP, which speaks MPTCP to the CPE on both accesses; neither the server nor the LAN host is told anything.
  Neither Convert nor SOCKS has the MCP called by a server: Convert has no message for it, SOCKS has BIND, which neither
  relay nor microsocks speaks. What passes the port on is Debian's socat, and the CPE announces its second address by hand:
  the relay has no role for it. The LAN host sees the CPE in the place of the server.
* *Native MPTCP.* By address the MCP meets only what is sent to it, so others' MPTCP is safe by construction. A network that
  steers whatever is MPTCP takes a LAN host's own as well: it still works, but the MCP ends it. With
  ``--source-ports`` at the CPE and a ``marker`` in the policy it is left alone; that option is not counted above.
* *The MCP's death.* A new connection is served by routing because the packet is then forwarded the natural way, as plain TCP
  over one access; by address it has nowhere to go until the CPE is told another.
* *Addresses.* Without an MCP the server sees the CPE, by routing too, with Convert and SOCKS the MCP: who answers for an
  address is another matter than speed.
* *The network.* The price of routing is where this table shows it, the controller's time and entries in every switch of
  the path for each connection, and where it does not: a network that has such switches.
"""


def main(arguments: list[str]) -> int:
    """Write the page. Returns 0, or 2 where there is no report or the report did not pass."""
    source = Path(arguments[0]) if arguments else REPORT
    try:
        report = json.loads(source.read_text())
    except (OSError, ValueError) as error:
        print(f"compare: {source}: {error}; run steering lab run compare --json {source}", file=sys.stderr)
        return 2
    if not report["passed"] or report["scenario"] != "compare":
        print(f"compare: {source} is no report of lab compare that passed", file=sys.stderr)
        return 2
    TARGET.write_text(document(report))
    return 0


def document(report: Json) -> str:
    """The whole page."""
    found: Json = report["figures"]
    ways = list(found.values())
    count = ways[0]["connections"]
    rows: list[tuple[str, Callable[[Json], str]]] = [
        ("Time to first byte, p50 / p95", lambda w: "{p50:g} / {p95:g} ms".format(**w["first_byte_ms"])),
        ("Bytes added per connection", lambda w: f"{w['added_bytes']:g}"),
        ("Segments per connection (one echo)", lambda w: f"{w['segments']:g}"),
        ("TCP options per data segment", lambda w: f"{w['long']['option_bytes']:g} bytes"),
        ("CPU seconds per GB at the CPE", lambda w: f"{w['long']['cpu_s_per_gb']['cpe']:g}"),
        ("CPU seconds per GB at the MCP", lambda w: f"{w['long']['cpu_s_per_gb']['mcp']:g}"),
        ("Entries per connection", _entries),
        ("TCP sockets per connection, CPE / MCP", lambda w: "{cpe:g} / {mcp:g}".format(**w["sockets"])),
        ("Options in the CPE's command", lambda w: str(w["cpe_options"])),
        ("Goodput, 1 MB", lambda w: f"{w['short']['mbit']:g} Mbit/s"),
        (f"Goodput, {ways[0]['long']['bytes'] / 1e6:.0f} MB", lambda w: f"{w['long']['mbit']:g} Mbit/s"),
        ("A session that the server begins", _outside),
        ("A LAN host's own MPTCP to a server", _native),
        ("MCP killed: an open connection", lambda w: _death(w, "open")),
        ("MCP killed: a new one at once", lambda w: _death(w, "new")),
        ("MCP killed: a new one some seconds later", lambda w: _death(w, "new_later")),
    ]
    lines = [HEAD, f"{count} connections for each way, one after the other.", "", ".. list-table::"]
    lines += ["   :header-rows: 1", ""]
    lines += _row("", [way["title"] for way in ways])
    for title, cell in rows:
        lines += _row(title, [cell(way) for way in ways])
    where = report["environment"]
    lines += [
        "",
        f"Measured on kernel {where['kernel']}, Open vSwitch {where['open_vswitch']} ({where['datapath']}), "
        f"load average {where['load_average']:g} on two cores.",
    ]
    return "\n".join(lines) + "\n\n" + _curl(ways) + TAIL


def _curl(ways: list[Json]) -> str:
    (curl,) = [way["curl"] for way in ways if "curl" in way]
    direct, socks = curl["direct_ms"]["p50"], curl["socks_ms"]["p50"]
    return CURL.format(**curl, direct=direct, socks=socks)


def _row(title: str, cells: list[str]) -> list[str]:
    return [f"   * - {title}", *(f"     - {cell}" for cell in cells)]


def _entries(way: Json) -> str:
    entries = way["entries"]
    return ", ".join(f"{name} {count:g}" for name, count in entries.items()) or "none"


def _outside(way: Json) -> str:
    if "outside" not in way:
        return "--"
    found = way["outside"]
    how = f"by the MCP, {found['subflows']} subflows" if found["by_mcp"] else "plain TCP, one access"
    share = f", {found['second_access']:.0%} by the second access" if found["by_mcp"] else ""
    return found["error"] or f"{how}{share}, {found['mbit']:g} Mbit/s"


def _native(way: Json) -> str:
    if "native" not in way:
        return "--"
    apart = f"; with CPEs' mark {_kept(way['told_apart'])}" if "told_apart" in way else ""
    return f"{_kept(way['native'])}{apart}"


def _kept(found: Json) -> str:
    if found["error"]:
        return str(found["error"])
    return "end to end" if found["end_to_end"] else "ended by the MCP, and goes on from there"


def _death(way: Json, which: str) -> str:
    if "death" not in way:
        return "--"
    said = way["death"][which]
    return f"{said['error'] or 'served'} after {said['seconds']:g} s"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
