"""Every lab's negative controls in rotation: a seventh of them each day, so that a week has run them all.

A run without its mechanism has to fail each check that the scenario names for it (`Breaks.must`): one that holds cannot see
the mechanism, and proves nothing about it. That no other check fails is what `steering lab all` asks
(`topologies.campaign.verdicts`); here, beside all other tests, a check that failed astray is a warning.
"""

import time
import warnings

import pytest

from tests.lab.running import Ran
from topologies import catalogue
from topologies.campaign import verdicts

DAYS = 7
SECONDS_OF_A_DAY = 86_400
CONTROLS = [(scenario, control) for scenario in catalogue.all_of_them() for control in scenario.controls]


def share(day: int) -> list[tuple[str, str, bool]]:
    """Scenario, control and whether it runs alone: every seventh control, so that a scenario's are not all on one day."""
    return [(scenario.name, control, scenario.alone) for scenario, control in CONTROLS[day % DAYS :: DAYS]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "of_the_day" in metafunc.fixturenames:
        chosen = metafunc.config.option.lab_day
        day = int(time.time() // SECONDS_OF_A_DAY) if chosen is None else chosen
        metafunc.parametrize(
            "of_the_day",
            [
                pytest.param(
                    (name, control), id=f"{name}-without-{control}", marks=_lab(name, control, alone)
                )
                for name, control, alone in share(day)
            ],
        )


def _lab(name: str, control: str, alone: bool) -> pytest.MarkDecorator:
    return pytest.mark.lab(name, "--without", control, alone=alone)


def test_a_mechanism_that_is_missing_breaks_checks_that_are_named(
    of_the_day: tuple[str, str], ran: Ran
) -> None:
    name, control = of_the_day
    verdict = verdicts.of_control(ran.report, catalogue.load(name).breaks.get(control))
    assert verdict.word in ("caught", "astray"), (verdict, ran.failed())
    if verdict.word == "astray":
        warnings.warn(f"{name} without {control}: {verdict}", stacklevel=1)


def test_a_week_of_days_runs_every_control_once_and_each_day_as_many() -> None:
    week = [share(day) for day in range(20_000, 20_000 + DAYS)]
    run = [(name, control) for one in week for name, control, _ in one]
    assert sorted(run) == sorted((scenario.name, control) for scenario, control in CONTROLS)
    assert max(map(len, week)) - min(map(len, week)) <= 1
