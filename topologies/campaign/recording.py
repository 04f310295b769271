"""Writes topologies/breaks.json: which checks each negative control breaks, from reports of `steering lab all --json`.

usage: python -m topologies.campaign.recording REPORT...

What failed in every report, and in every run recorded before, must fail; what failed in some may. Rates are left out
where anything else failed. A person reads the difference before it is committed: a check that has gone from `must` no
longer sees what it was there for.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from topologies import catalogue
from topologies.campaign.verdicts import BROKEN_LAB, is_rate

Written = dict[str, dict[str, dict[str, list[str]]]]


def merged(known: Written, runs: Iterable[dict[str, Any]]) -> Written:
    """What was written and these runs ({"scenario", "without", "failed"}); of scenarios and controls that exist.

    Raises ValueError for a control that broke nothing, or nothing but what some other run of it did not break.
    """
    found = {name: dict(checks) for name, checks in known.items()}
    for run in runs:
        name, control = run["scenario"], run["without"]
        failed = {check for check in run["failed"] if not is_rate(check)} or set(run["failed"])
        if not control or BROKEN_LAB in failed:
            continue
        before = found.setdefault(name, {}).get(control, {"must": sorted(failed), "may": []})
        must = set(before["must"]) & failed
        if not must:
            raise ValueError(f"{name} without {control}: no check fails in every run")
        may = (set(before["must"]) | set(before["may"]) | failed) - must
        found[name][control] = {"must": sorted(must), "may": sorted(may)}
    return {
        scenario.name: {
            control: found[scenario.name][control] for control in scenario.controls if control in of
        }
        for scenario in catalogue.all_of_them()
        if (of := found.get(scenario.name))
    }


def main(files: list[str]) -> int:
    """0, or 2 for usage."""
    if not files:
        print((__doc__ or "").split("\n\n")[1], file=sys.stderr)
        return 2
    runs = [run for file in files for run in json.loads(Path(file).read_text())["runs"]]
    known: Written = json.loads(catalogue.BREAKS.read_text(encoding="utf-8"))
    catalogue.BREAKS.write_text(json.dumps(merged(known, runs), indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
