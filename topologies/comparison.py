"""Writes docs/compare.rst from the report of `steering lab run compare --json FILE`.

usage: python -m topologies.comparison [FILE]      (build/labs/compare.json where none is given)
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
REPORT, TARGET = ROOT / "build" / "labs" / "compare.json", ROOT / "docs" / "compare.rst"
Json = dict[str, Any]

HEAD = """\
The three proposals, measured
=============================

.. Written by topologies/comparison.py from the report of steering lab run compare; edit that, not this.

The slides leave three ways open for a CPE's connections to find an MCP that lies on no natural path: to put the
destination at the head of the data (#1, here Convert, RFC 8803), to signal it first (#2, here SOCKS 5), and to treat
it as a routing problem (#3, this project). ``steering lab run compare`` runs all three on the network of
``hybrid-access``: a plain host, a CPE with an MCP of its own over DSL and LTE (20 Mbit/s each), the network's MCP off
the path, a plain server. The same two relays serve every way; in the last column Debian's ``microsocks`` under
``mptcpize`` stands in the place of the network's.
"""

TAIL = """\
Not measured here
-----------------

* *Sessions from either end.* Routing: a server may begin (lab ``server-initiated``). Convert has no message for it;
  SOCKS has BIND, which neither relay nor microsocks speaks.
* *Interference with native MPTCP.* Routing steers every MPTCP connection that its policy names, and tells native from
  proxied by the CPE's mark (lab ``demux``). With Convert and SOCKS only what addresses the MCP meets it.

What the numbers do not show
----------------------------

The links have a rate and no delay: this kernel has no netem. A round trip costs next to nothing here, so SOCKS, which
takes two more of them, looks no slower than Convert, which takes one at most. With a delay between CPE and MCP each would
add its own; routing adds none, and the controller's answer, which a busy machine makes slower, in their place. The time
to the first byte of routing holds one trip to the controller and the entries in the switches; proactive entries avoid
both (docs/proactive.rst) and are not used here. ``microsocks`` listens at a port of which the controller knows nothing, so
that joins to it are looked at one by one, with entries of their own; the relay's own ports are known, and have none. Switches are Open vSwitch in user space, hosts, switches, controller and
relays share the machine, and CPU seconds are those of the relay's process alone, in Python: the kernel's share and the
controller's are not in them. Times depend much on who else uses the
machine: four runs on a shared one gave 8, 11, 28 and 36 ms for routing's p50, 10 to 15 for the others', so nobody should
read a rank from this table's first line. CPU seconds compare ways, and say nothing of what a relay in another language would need. A Linux
timer tick is 10 ms, so that of the short flow nothing is told. The sizes are 1 MB and {long:.0f} MB; 100 MB takes 25 s
here, by ``--seconds 20``. After the MCP's death a new
connection is served by routing because the packet is then forwarded the natural way, as plain TCP over one access; by
address it has nowhere to go until the CPE is told another. Without an MCP the server sees the CPE, by routing too, with Convert and SOCKS the MCP:
who answers for an address is another matter than speed. The price of routing is where this table shows it: the time a controller
takes, and entries in every switch of the path for each connection, and a network that has switches to put them in.
"""


def main(arguments: list[str]) -> int:
    """0; 2 where there is no report, or one that did not pass."""
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
        f"Measured on kernel {where['kernel']}, Open vSwitch {where['open_vswitch']} ({where['datapath']}).",
    ]
    return "\n".join(lines) + "\n\n" + TAIL.format(long=ways[0]["long"]["bytes"] / 1e6)


def _row(title: str, cells: list[str]) -> list[str]:
    return [f"   * - {title}", *(f"     - {cell}" for cell in cells)]


def _entries(way: Json) -> str:
    entries = way["entries"]
    return ", ".join(f"{name} {count:g}" for name, count in entries.items()) or "none"


def _death(way: Json, which: str) -> str:
    if "death" not in way:
        return "--"
    said = way["death"][which]
    return f"{said['error'] or 'served'} after {said['seconds']:g} s"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
