"""What each negative control has to break: written from runs, read with the scenario."""

from typing import Any

import pytest

from topologies import catalogue
from topologies.campaign.recording import RecordedFailures, merged
from topologies.campaign.verdicts import BROKEN_LAB


def run(*failed: str, without: str = "steering") -> dict[str, Any]:
    rates = [name for name in failed if "goodput" in name]
    return {"scenario": "off-path", "without": without, "failed": list(failed), "rates": rates}


def written(*runs: dict[str, Any], known: RecordedFailures | None = None) -> Any:
    return merged(known or {}, runs).get("off-path", {}).get("steering")


def test_what_fails_in_every_run_must_and_what_fails_in_some_may() -> None:
    assert written(run("a", "b")) == {"must": ["a", "b"], "may": []}
    both = written(run("a", "b"), run("b", "c"))
    assert both == {"must": ["b"], "may": ["a", "c"]}
    later = written(run("a", "b", "c"), known={"off-path": {"steering": both}})
    assert later == both, "what a run did not break once does not come back"


def test_rates_are_named_only_where_nothing_else_fails() -> None:
    assert written(run("on: goodput over one access", "a"))["must"] == ["a"]
    assert written(run("told within a second", "a"))["must"] == ["a", "told within a second"]
    assert written(run("on: goodput over one access"))["must"] == ["on: goodput over one access"]


def test_a_control_that_breaks_nothing_in_every_run_is_refused() -> None:
    for runs in ([run()], [run("a"), run("b")]):
        with pytest.raises(ValueError, match="off-path without steering: no check fails in every run"):
            written(*runs)


def test_labs_that_did_not_work_and_controls_that_are_gone_are_left_out() -> None:
    assert written(run("a", BROKEN_LAB)) is None
    assert merged({}, [run("a", without=""), run("b", without="of-old")]) == {"off-path": {}}


def test_a_scenario_is_loaded_with_the_checks_that_its_controls_break() -> None:
    breaks = catalogue.load("off-path").breaks
    assert set(breaks) == {"steering", "wrong-mcp"}
    assert "on: joins at other MCPs" in breaks["wrong-mcp"].must - breaks["steering"].must
    assert "on: joins completed at core" in breaks["steering"].must
