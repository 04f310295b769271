"""Every lab and every negative control where nothing comes about: checks fail by their names, and no judge breaks.

What is looked for is absent where a mechanism is missing, and where a busy machine lost it. A judge that takes the first of
nothing then ends the lab, and nobody learns which check it was.
"""

from pathlib import Path

import pytest

from tests.support.dead_lab import deaden
from topologies import catalogue
from topologies.kit.processes import LabError
from topologies.kit.report import Progress, Report
from topologies.kit.scenario import Options

# Labs that end where their own tools are dead: the rogue's program, and members of a cell of which none takes a change.
TOOLS = {
    "rogue-nat": "its log is empty",
    "cluster": "no member takes it",
    "cluster-grow": "no member takes it",
}
for _name in catalogue.MODULES:
    catalogue.load(_name)


@pytest.mark.parametrize(
    ("plain", "token"),
    [(False, None), (True, None), (True, "0badcafe")],
    ids=["nothing-connects", "plain-tcp-alone", "mptcp-of-which-no-kernel-knows"],
)
@pytest.mark.parametrize("name", catalogue.MODULES)
def test_where_nothing_comes_about_checks_fail_by_name_and_no_judge_breaks(
    name: str, plain: bool, token: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = catalogue.load(name)
    deaden(monkeypatch, tmp_path, plain, token)
    for control in ("", *scenario.controls):
        without = (control,) if control else ()
        report = Report(name, "", (), without=list(without))
        try:
            scenario.run(Options(Progress(quiet=True), without), report)
        except LabError as error:
            assert TOOLS.get(name, "no trouble") in str(error), (control, error)
        assert report.failed, f"without {control or 'nothing'}: all checks held"
