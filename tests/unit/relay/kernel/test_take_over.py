"""What a relay that starts asks of the kernel about the run before it: which late segments are nobody's to reset."""

import json
from pathlib import Path

import pytest

from steering.relay.kernel import rules
from steering.relay.kernel.commands import RuleError
from steering.relay.kernel.late_segments import calming, listing
from steering.relay.kernel.rules import TABLE, ruleset
from steering.relay.model import ControllerAccess
from tests.support.recorded_tools import RecordedTools
from tests.support.relay_options import options

AGENT = ControllerAccess("http://127.0.0.1:1", "core", "t" * 40, None)
FLOW, FLOW6 = "10.1.0.2 . 40000 . 10.9.0.2 . 5201", "fd00:1::2 . 40000 . fd00:9::2 . 5201"
TOLD = options(agent=AGENT)
LOAD = "nft -f -"


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecordedTools:
    """The table of an earlier run knows one connection of each family."""
    made = RecordedTools(tmp_path, monkeypatch)
    for word, flow in (("ip", FLOW), ("ip6", FLOW6)):
        src, sport, dst, dport = flow.split(" . ")
        told = {"elem": [{"elem": {"val": {"concat": [src, int(sport), dst, int(dport)]}, "expires": 58}}]}
        made.answers(listing(TABLE, word), json.dumps({"nftables": [{"metainfo": {}}, {"set": told}]}))
    return made


def loaded(tools: RecordedTools) -> list[str]:
    """The texts that put the relay's own table in force."""
    return [text for text in tools.texts() if f"delete table inet {TABLE}\n" in text]


@pytest.mark.row("D-6.7.1", "S-15")
def test_the_4_tuples_that_the_table_before_knew_are_in_the_one_that_takes_its_place(
    tools: RecordedTools,
) -> None:
    rules.install(TOLD)
    assert loaded(tools) == [ruleset(TOLD, {"ip": [FLOW], "ip6": [FLOW6]})]
    lines = [call.line for call in tools.calls()]
    assert max(lines.index(listing(TABLE, word)) for word in ("ip", "ip6")) < lines.index(LOAD)
    assert not any("delete table" in line for line in lines), "until it is replaced it is in force"


@pytest.mark.row("D-6.7.1")
def test_4_tuples_that_the_kernel_does_not_take_keep_no_relay_from_its_work(tools: RecordedTools) -> None:
    tools.refuses(FLOW6)
    rules.install(TOLD)
    assert loaded(tools) == [ruleset(TOLD, {"ip": [FLOW], "ip6": [FLOW6]}), ruleset(TOLD)]


def test_a_table_that_the_kernel_does_not_take_at_all_is_an_error(tools: RecordedTools) -> None:
    tools.refuses("chain prerouting")
    with pytest.raises(RuleError, match="refused by a test"):
        rules.install(TOLD)
    assert tools.calls()[-1].line.startswith("ip "), "routes and rules are taken away again"
    assert f"nft delete table inet {TABLE}" in [call.line for call in tools.calls()]


def test_where_no_controller_tells_hosts_nothing_is_taken_along(tools: RecordedTools) -> None:
    rules.install(options())
    assert loaded(tools) == [ruleset(options())]
    assert not any("list set" in call.line for call in tools.calls())


@pytest.mark.row("D-6.7.1", "S-15")
def test_before_listeners_come_the_table_of_the_run_before_resets_nothing_more(tools: RecordedTools) -> None:
    assert not rules.calm(options())
    assert not tools.calls(), "nobody else would tell hosts"
    assert rules.calm(TOLD)
    assert [(call.line, call.text) for call in tools.calls()] == [(LOAD, calming(TABLE))]


def test_it_is_no_error_where_no_table_of_a_run_before_is_there(tools: RecordedTools) -> None:
    tools.refuses("flush chain")
    assert not rules.calm(TOLD)
