"""The growth curves, shortened: every size of every curve is measured, and what goes wrong is told. No time is judged."""

import json
import math
import subprocess
import sys
from pathlib import Path

from tests.bench import curves
from tests.bench.machines import ROOT, BenchError
from tests.bench.performance_sections import SECTIONS
from tests.bench.suite import Say


def test_every_curve_has_every_size_and_every_quantity_of_the_page(tmp_path: Path) -> None:
    results = tmp_path / "curves.json"
    command = [sys.executable, "-m", "tests.bench.curves", "--quick", "--json", str(results)]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    found = json.loads(results.read_text())
    assert found["quick"] and not found["not_measured"] and found["command"].endswith(str(results))
    quick = curves.QUICK
    wanted = {
        "sessions": quick.sessions,
        "memory": quick.sessions,
        "switches": quick.switches,
        "mcps": quick.mcps,
    }
    assert {name: tuple(map(int, one)) for name, one in found["curves"].items()} == wanted
    for quantity in {one for section in SECTIONS for one in section.quantities}:
        # Memory of 200 sessions is less than what a process takes at once, so its growth may be anything.
        least = -math.inf if quantity.key == "bytes_per_session" else 0
        for records in found["curves"][quantity.curve].values():
            assert records and all(one[quantity.key] >= least for one in records), quantity
    assert "pass 1 of 1: controller with up to 1,000 sessions" in made.stderr


class Pass:
    """Measurements that take no time. `begun`: which, in their order; the one of switches fails."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.steps = [
            curves.Step("mcps", "16 MCPs", lambda: self._measured("16")),
            curves.Step("mcps", "2 MCPs", lambda: self._measured("2")),
            curves.Step("switches", "16 switches", self._fails),
        ]

    def _measured(self, size: str) -> curves.Found:
        self.begun.append(size)
        return {size: [{"us": float(len(self.begun))}]}

    def _fails(self) -> curves.Found:
        self.begun.append("switches")
        raise BenchError("no compiler")


def test_each_pass_adds_a_record_and_what_failed_is_named_and_left_alone() -> None:
    one = Pass()
    found = curves.measure(one.steps, 2, 1e9, Say())
    assert one.begun == ["16", "2", "switches", "16", "2"]
    assert found["curves"]["mcps"] == {"2": [{"us": 2.0}, {"us": 5.0}], "16": [{"us": 1.0}, {"us": 4.0}]}
    assert list(found["curves"]["mcps"]) == ["2", "16"]
    assert found["not_measured"] == {"16 switches": "no compiler"}


def test_after_the_limit_only_the_first_pass_is_made_whole() -> None:
    one = Pass()
    found = curves.measure(one.steps, 5, 0.0, Say())
    assert one.begun == ["16", "2", "switches"] and len(found["curves"]["mcps"]["2"]) == 1
