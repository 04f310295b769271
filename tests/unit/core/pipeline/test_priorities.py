"""The one table of priorities: levels apart, tables only forward, and its picture in the documentation up to date."""

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from steering.core.pipeline.priorities import ALLOW, CORE, LEVELS, ONWARD, PINNED, UNTAG, faults_of, level_of
from steering.core.pipeline.vlans import vlan_rules
from steering.model.ids import DatapathId, PortNumber
from steering.model.network import FIRST_TAGGED, PortRef, VlanLine
from steering.model.rules import PopVlan, Resubmit, Rule, Table

ROOT = Path(__file__).resolve().parents[4]


def test_no_two_levels_of_a_table_share_a_priority() -> None:
    for table in Table:
        levels = sorted((one for one in LEVELS if one.table is table), key=lambda one: one.lowest)
        assert levels, table
        for lower, upper in itertools.pairwise(levels):
            assert lower.lowest + lower.width < upper.lowest, (lower, upper)


def test_a_packet_only_goes_to_later_tables() -> None:
    """Or begins anew with a tag less, or with the label of its host's port."""
    order = [table for table in Table if table is not Table.SOURCE]
    order.insert(1, Table.SOURCE)  # between GUARD and SESSION, whatever its number
    place = order.index
    anew = [level for level in LEVELS if any(place(then) <= place(level.table) for then in level.then)]
    assert [(level.table, level.lowest, level.then) for level in anew] == [
        (Table.GUARD, UNTAG, frozenset({Table.GUARD})),
        (Table.HOST, ONWARD, frozenset({Table.LABEL})),
    ]
    line = VlanLine(PortNumber(1), (30, 7), PortNumber(FIRST_TAGGED))
    rules = list(vlan_rules(7, [PortRef(DatapathId(1), PortNumber(FIRST_TAGGED + 1), line)]))
    untagging = [rule for rule in rules if rule.priority == UNTAG]
    assert len(untagging) == 2 and all(PopVlan() in rule.actions for rule in untagging)


@pytest.mark.parametrize(
    "rule",
    [
        Rule(Table.GUARD, ALLOW + 24, (), goto=Table.LABEL),  # past SESSION and CLASSIFY
        Rule(Table.GUARD, CORE, (), goto=Table.SESSION),
        Rule(Table.GUARD, CORE, (), (Resubmit(Table.ND),)),
        Rule(Table.GUARD, 1, ()),  # nobody's
        Rule(Table.SESSION, PINNED, (), goto=Table.ROUTE),
    ],
)
def test_a_rule_that_leads_where_its_level_may_not_is_refused(rule: Rule) -> None:
    assert list(faults_of(rule))


def test_a_rule_that_leads_where_it_may_is_not() -> None:
    rule = Rule(Table.GUARD, ALLOW + 128, (), goto=Table.SESSION)
    assert not list(faults_of(rule))
    level = level_of(rule)
    assert level is not None and level.lowest == ALLOW


def test_the_picture_in_the_documentation_is_made_from_it() -> None:
    command = [sys.executable, "packaging/reference.py", "--check"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    page = (ROOT / "docs" / "design" / "pipeline.rst").read_text()
    assert all(level.what in page for level in LEVELS)
