"""Which checks of labs measure the machine, and may be measured once more. A time that a user is promised never is."""

import ast
from pathlib import Path

import pytest

import topologies
from topologies.campaign.verdicts import Verdict, of_control, only_rates, rates
from topologies.kit.report import Report
from topologies.kit.scenario import Breaks
from topologies.programs.lateness import Lateness
from topologies.scenarios.mcp_death import MODES, judge_told

# What is a rate and no goodput, by the text that stands in the source: how fast a program floods, two 95th percentiles of set-ups on
# a machine that does all else too, and two names of lab `reservation` for a goodput.
OTHER_RATES = {
    "'the flood was one: SYNs a second'",
    "'p95 of the set-up'",
    "f'{name}: p95 to the first byte'",
    "SHARE",
    "BESIDE",
}
TOLD = "frozen: all are told within a second"


def declared() -> dict[str, str]:
    """The checks that labs declare as rates: their names as the source has them, and the file of each."""
    return {
        ast.unparse(node.args[0]): str(path)
        for path in Path(topologies.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "rate"
    }


def test_labs_declare_as_rates_what_this_machine_carries_and_nothing_else() -> None:
    found = declared()
    assert len(found) > 20, found
    assert {name for name in found if "goodput" not in name} == OTHER_RATES, found


def report_of(*, rate: bool, told: bool) -> Report:
    """A lab with a rate and a promise of time, which held or not."""
    report = Report("lab", "", ())
    report.rate("goodput over one access", rate, "20", "19")
    report.expect(TOLD, told, "under 1 s", "1.2 s")
    return report


@pytest.mark.parametrize(
    ("rate", "told", "again"),
    [(False, True, True), (True, False, False), (False, False, False), (True, True, False)],
)
def test_a_lab_runs_once_more_for_a_rate_and_never_for_a_promise(rate: bool, told: bool, again: bool) -> None:
    document = report_of(rate=rate, told=told).document()
    assert only_rates(document) == again
    assert rates(document) == [] if rate else ["goodput over one access"]


def test_a_control_may_miss_a_rate_beside_and_no_promise_that_it_does_not_name() -> None:
    breaks = Breaks(frozenset({"joins completed"}))
    verdicts = []
    for rate, told in ((False, True), (True, False)):
        report = report_of(rate=rate, told=told)
        report.expect("joins completed", False, "1", "0")
        verdicts.append(of_control(report.document(), breaks))
    assert verdicts == [Verdict("caught"), Verdict("astray", strays=(TOLD,))]


@pytest.mark.parametrize(
    ("told_s", "server_s", "held"),
    [
        (0.9, 0.9, True),
        (1.2, 0.9, True),
        (1.4, 0.9, False),
        (0.9, 1.4, False),
        (None, 0.9, False),
        (0.9, None, False),
    ],
)
def test_who_lived_at_a_dead_mcp_is_told_within_a_second_that_the_machine_had(
    told_s: float | None, server_s: float | None, held: bool
) -> None:
    late = Lateness()
    for step in range(200):
        late.ran(100.0 + step / 100 + (0.3 if step > 20 else 0.0))  # 0.3 s late, once
    report = Report("mcp-death", "", ())
    told = dict.fromkeys(MODES, 0.5) | {"idle": told_s}
    judge_told(report, late, "frozen", 100.0, told, dict.fromkeys(MODES, "reset by peer"), server_s)
    assert (TOLD not in {check.name for check in report.failed}) == held
    assert not only_rates(report.document())
