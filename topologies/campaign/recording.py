"""Writes topologies/breaks.json: which checks each negative control breaks, from reports of `steering lab all
--json`.

usage: python -m topologies.campaign.recording REPORT...

A check that failed in every report, and in every run recorded before, goes to `must`. A check that failed in some of
them goes to `may`. Checks of rates are left out of a run in which anything else failed. A person reads the difference
before it is committed: a check that has moved out of `must` no longer notices the fault that it was written for.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from topologies import catalogue
from topologies.campaign.verdicts import BROKEN_LAB

RecordedFailures = dict[str, dict[str, dict[str, list[str]]]]


def merged(known: RecordedFailures, runs: Iterable[dict[str, Any]]) -> RecordedFailures:
    """What was recorded before, with these runs ({"scenario", "without", "failed", "rates"}) added. Scenarios and controls
    that do not exist any more are left out.

    Raises ValueError for a control for which no check failed in every one of its runs.
    """
    found = {name: dict(checks) for name, checks in known.items()}
    for run in runs:
        name, control = run["scenario"], run["without"]
        failed = set(run["failed"]) - set(run["rates"]) or set(run["failed"])
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
    """Returns the exit status: 0, or 2 for wrong usage."""
    if not files:
        print((__doc__ or "").split("\n\n")[1], file=sys.stderr)
        return 2
    runs = [run for file in files for run in json.loads(Path(file).read_text())["runs"]]
    known: RecordedFailures = json.loads(catalogue.BREAKS.read_text(encoding="utf-8"))
    catalogue.BREAKS.write_text(json.dumps(merged(known, runs), indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
