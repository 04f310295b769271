"""Late segments around a relay's death and its next start: nobody resets plainly what a controller is about to tell.

What the rules do is tested with a real kernel in tests/integration/relay.
"""

import json

import pytest

from steering.relay.kernel.late_segments import MAX_BEFORE, calming, flows_of, late, listing, resuming
from steering.relay.kernel.rules import TABLE, ruleset
from steering.relay.model import ControllerAccess
from tests.support.relay_options import options

AGENT = ControllerAccess("http://127.0.0.1:1", "core", "t" * 40, None)
FLOW, FLOW6 = "10.1.0.2 . 40000 . 10.9.0.2 . 5201", "fd00:1::2 . 40000 . fd00:9::2 . 5201"
BEFORE = {"ip": [FLOW], "ip6": [FLOW6]}


def over_of(text: str) -> list[str]:
    return text[text.index("  chain over {") :].partition("  }\n")[0].splitlines()[1:]


def listed(*elements: object) -> str:
    """As nft 1.0.6 lists a set."""
    told = {"family": "inet", "name": "late_ip", "table": TABLE, "elem": list(elements)}
    return json.dumps({"nftables": [{"metainfo": {"version": "1.0.6"}}, {"set": told}]})


def element(sport: object, expires: int, src: object = "10.1.0.2") -> object:
    return {"elem": {"val": {"concat": [src, sport, "10.9.0.2", 5201]}, "expires": expires}}


@pytest.mark.row("D-6.7.1", "S-15")
def test_late_segments_of_the_run_before_are_dropped_ere_a_relay_that_lives_resets_its_own() -> None:
    lines = over_of(late(1, told=True))
    verdicts = [line.rpartition(" counter ")[2] for line in lines[:-1]]
    assert verdicts == ["drop", "drop", "reject with tcp reset", "reject with tcp reset"]
    assert ["@before_" in line for line in lines] == [True, True, False, False, False]
    assert "before" not in late(1), "nobody else tells hosts, so they are reset"


@pytest.mark.row("D-6.7.1")
def test_what_the_table_of_the_run_before_knew_is_in_the_next_one_for_a_while() -> None:
    text = ruleset(options(agent=AGENT), BEFORE)
    for name, flow, seconds in (
        ("before_ip", FLOW, 10),
        ("before_ip6", FLOW6, 10),
        ("late_ip", FLOW, 60),
        ("late_ip6", FLOW6, 60),
    ):
        made = text[text.index(f"  set {name} {{") :].partition("  }\n")[0]
        assert f"elements = {{ {flow} }}" in made and f"timeout {seconds}s" in made
    assert "elements" not in ruleset(options(agent=AGENT)) and "elements" not in ruleset(options(), BEFORE)


def test_listeners_that_come_before_the_new_table_reset_nothing() -> None:
    calm, old = calming(TABLE).splitlines(), over_of(ruleset(options(agent=AGENT)))
    assert calm[0] == f"flush chain inet {TABLE} over" and len(calm) == 3
    for word, line in zip(("ip", "ip6"), calm[1:], strict=True):
        rule = line.removeprefix(f"add rule inet {TABLE} over ")
        assert rule.endswith(f"@late_{word} counter drop")
        assert f"    {rule.replace('drop', 'reject with tcp reset')}" in old


def test_a_table_that_was_made_ready_for_nothing_is_as_it_was() -> None:
    flush, *rules = resuming(TABLE).splitlines()
    assert flush == f"flush chain inet {TABLE} over"
    made = [rule.removeprefix(f"add rule inet {TABLE} over ") for rule in rules]
    assert [f"    {rule}" for rule in made] == over_of(ruleset(options(agent=AGENT)))


def test_the_4_tuples_of_a_set_are_read_in_the_form_of_its_elements_the_newest_first() -> None:
    assert listing(TABLE, "ip6") == "nft -j list set inet steering_relay late_ip6"
    text = listed(element(40_000, 3), element(40_001, 58), element(40_002, 17))
    assert flows_of(text) == [f"10.1.0.2 . {port} . 10.9.0.2 . 5201" for port in (40_001, 40_002, 40_000)]
    assert flows_of(listed({"concat": ["fd00:1::2", 40_000, "fd00:9::2", 5201]})) == [FLOW6]
    assert flows_of(listed()) == []


def test_of_very_many_4_tuples_the_newest_are_taken_along() -> None:
    text = listed(*(element(port, port) for port in range(1, MAX_BEFORE + 101)))
    found = flows_of(text)
    assert len(found) == MAX_BEFORE and found[0].split(" . ")[1] == str(MAX_BEFORE + 100)


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"nftables": 7}', '{"nftables": [{"set": []}]}', listed(7), listed(None), listed(element("x", 1)),
        listed(element(1, 1, "} ; flush ruleset")), listed({"elem": {"val": 7}}), listed(element(None, 1)),
        listed({"elem": {"val": {"concat": ["10.1.0.2"]}}}), listed({"elem": 3}),
    ],
)  # fmt: skip
def test_what_is_no_list_of_4_tuples_has_none(text: str) -> None:
    assert flows_of(text) == []
