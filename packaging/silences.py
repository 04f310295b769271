"""Writes docs/silences.rst, the longest silences of applications in labs where something fails, and docs/silences.json, the
figures that it is made from.

usage: python packaging/silences.py [REPORT...] | --check

REPORT: build/labs.json of `steering lab all --json`, or the report of one lab (`steering lab run NAME --json`). The figures of a
lab that is in a report take the place of those of an earlier run. Without one only the page is written again; `--check` only
tells whether it is up to date.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FIGURES, PAGE = ROOT / "docs" / "silences.json", ROOT / "docs" / "silences.rst"
LABS = {
    "mcp-death": "An MCP dies in each way that there is, or an operator ends a session",
    "line-changes": "A CPE's lines change",
    "switch-reboot": "Switches reboot",
    "link-loss": "Links between switches fail, in a core and in a ring",
    "controller-loss": "The controller is killed and started again",
    "path-mtu": "A link of a smaller MTU behind the gateway, by source mode of the MCP",
}
HEAD = """\
How long an application waits when something fails
==================================================

Made by ``packaging/silences.py`` from the reports of labs on real kernels. Do not edit. Each lab has an application that writes down
the longest time in which it got nothing, and whether it was told of an error. A session whose MCP died cannot go on, so there the time is
the one until both the silence and the session end: a reset tells the application. Two busy cores; the labs themselves judge these figures.
Where what is lost with a link is the last that was under way, a host's TCP notices after its time-out, of 0.2 s at least.
"""
SHORT_S = 0.1
Json = dict[str, Any]
Silences = dict[str, dict[str, Json]]  # lab -> case -> {"silence_s", "told"}


def of_reports(reports: Iterable[Json]) -> Silences:
    """The silences in reports. Raises ValueError where a lab of LABS ran unchanged and reports no silence."""
    found: Silences = {}
    for report in reports:
        for run in report.get("runs", [report]):
            if run["scenario"] in LABS and not run["without"]:
                found[run["scenario"]] = of_figures(run["figures"])
                if not found[run["scenario"]]:
                    raise ValueError(f"{run['scenario']}: the report has no longest silence")
    return found


def of_figures(figures: Json) -> dict[str, Json]:
    """Those figures of a lab whose cases contain a silence of an application."""
    return {
        case: {"silence_s": one["longest_silence_s"], "told": bool(one["told_of_an_error"])}
        for case, one in figures.items()
        if isinstance(one, dict) and one.get("longest_silence_s") is not None
    }


def shown(seconds: float) -> str:
    """A silence as text. Short silences are given in milliseconds, as the bound is 50 ms."""
    return f"{1000 * seconds:.0f} ms" if seconds < SHORT_S else f"{seconds:.2f} s"


def page(silences: Silences) -> str:
    lines = [HEAD]
    for lab, title in LABS.items():
        if lab not in silences:
            continue
        lines += [title, "-" * len(title), "", f"Lab ``{lab}``.", ""]
        lines += [".. list-table::", "   :header-rows: 1", "   :widths: 50 25 25", ""]
        lines += ["   * - Case", "     - Longest silence", "     - Told of an error"]
        for case, one in silences[lab].items():
            lines += [
                f"   * - {case}",
                f"     - {shown(one['silence_s'])}",
                f"     - {'yes' if one['told'] else 'no'}",
            ]
        lines.append("")
    return "\n".join(lines)


def main(words: list[str]) -> int:
    silences: Silences = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    if words == ["--check"]:
        current = PAGE.exists() and PAGE.read_text() == page(silences)
        print("up to date" if current else "docs/silences.rst is not what docs/silences.json says")
        return 0 if current else 1
    silences |= of_reports(json.loads(Path(word).read_text()) for word in words)
    FIGURES.write_text(json.dumps({lab: silences[lab] for lab in LABS if lab in silences}, indent=1) + "\n")
    PAGE.write_text(page(silences))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
