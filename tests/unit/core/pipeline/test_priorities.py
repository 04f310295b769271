"""The one table of priorities: levels apart, tables only forward, and its picture in the documentation up to date."""

import ast
import itertools
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from steering.core.pipeline.priorities import ALLOW, CORE, LEVELS, ONWARD, PINNED, UNTAG, faults_of, level_of
from steering.core.pipeline.vlans import vlan_rules
from steering.model.ids import DatapathId, PortNumber
from steering.model.network import FIRST_TAGGED, PortRef, VlanLine
from steering.model.rules import PopVlan, Resubmit, Rule, Table
from tests.architecture.layers import sources

ROOT = Path(__file__).resolve().parents[4]
# The table itself; and two files of `model`, which may not import from `core`: the table has their numbers by name.
HOMES = ("steering/core/pipeline/priorities.py", "steering/model/rules.py", "steering/model/session_rule.py")


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


def own_priorities(tree: ast.Module) -> list[int]:
    """Lines on which a rule gets a priority that the file itself has made up: a number, or a name that is a number there."""
    numbers = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or ast.unparse(node.func).split(".")[-1] != "Rule":
            continue
        given = [*node.args[1:2], *(one.value for one in node.keywords if one.arg == "priority")]
        for priority in given:
            names = {one.id for one in ast.walk(priority) if isinstance(one, ast.Name)}
            if not names or names & numbers:
                found.append(node.lineno)
    return found


def test_no_other_file_makes_a_priority_up() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sources()
        if path.relative_to(ROOT).as_posix() not in HOMES
        for line in own_priorities(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not found, found


@pytest.mark.parametrize(
    ("code", "is_fault"),
    [
        ("Rule(Table.GUARD, 30_000, fields)", True),
        ("rules.Rule(table=Table.GUARD, priority=7, match=fields)", True),
        ("MINE = 30_000\nRule(Table.GUARD, MINE + 24, fields)", True),
        ("from steering.core.pipeline.priorities import ALLOW\nRule(Table.GUARD, ALLOW + 24, fields)", False),
        ("def f(priority):\n    return Rule(Table.GUARD, priority, fields)", False),
    ],
)
def test_a_priority_that_is_made_up_elsewhere_is_found(code: str, is_fault: bool) -> None:
    assert bool(own_priorities(ast.parse(code))) is is_fault


def test_the_picture_in_the_documentation_is_made_from_it() -> None:
    command = [sys.executable, "packaging/reference.py", "--check"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    page = (ROOT / "docs" / "design" / "pipeline.rst").read_text()
    assert all(level.what in page for level in LEVELS) and ".. image:: pipeline.svg" in page
    drawn = ElementTree.parse(ROOT / "docs" / "design" / "pipeline.svg")
    texts = {"".join(one.itertext()) for one in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert {table.name for table in Table} <= texts
    arrows = [one for one in drawn.iter("{http://www.w3.org/2000/svg}path") if one.get("class") == "arrow"]
    assert len(arrows) == len({(level.table, then) for level in LEVELS for then in level.then})
