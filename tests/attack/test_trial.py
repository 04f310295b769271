"""`make attack` runs what docs/security.rst names; a test that fails or does not run is an attack that was not held."""

import xml.etree.ElementTree as ElementTree

import pytest

from tests.attack.trial import TEXT, attacks, main, outcome_of, read

PAGE = """
Host
----

   * - It tries
     - What happens
     - Test
   * - To shout
     - Nobody
       listens
     - ``unit/a.py::test_one``,
       ``unit/b.py``

MCP
---

   * - To lie
     - Refused
     - ``unit/c.py::test_three``
"""


def test_rows_are_read_with_their_attacker_and_all_their_tests() -> None:
    first, second = attacks(PAGE)
    assert (first.attacker, first.attempt, first.outcome) == ("Host", "To shout", "Nobody listens")
    assert first.tests == ("unit/a.py::test_one", "unit/b.py")
    assert (second.attacker, second.tests) == ("MCP", ("unit/c.py::test_three",))


def test_every_kind_of_attacker_is_tried() -> None:
    found = {attack.attacker for attack in attacks(TEXT.read_text())}
    assert found >= {"Neighbour", "Host of another access", "Internet", "MCP", "Switch", "REST reader"}
    assert all(attack.tests for attack in attacks(TEXT.read_text()))


def test_a_test_that_fails_or_is_not_there_is_told() -> None:
    good = (
        "unit/core/selection/test_quotas.py::test_the_bound_of_the_controller_holds_whatever_the_quotas_allow"
    )
    gone = "unit/core/selection/test_quotas.py::test_that_nobody_wrote"
    assert outcome_of([good]).lost == set()
    assert gone in outcome_of([good, gone]).lost


def test_what_a_test_says_that_victims_felt_is_read() -> None:
    case = '<testcase classname="tests.unit.a" name="test_one[4]">{}</testcase>'
    said = (
        '<properties><property name="felt" value="1 of 9 lost"/><property name="row" value="x"/></properties>'
    )
    report = ElementTree.fromstring(f"<testsuite>{case.format(said)}{case.format('<failure/>')}</testsuite>")
    assert read(report, ["unit/a.py::test_one"]) == (
        {"unit/a.py::test_one"},
        {"unit/a.py::test_one": ["1 of 9 lost"]},
    )


def test_the_list_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "neighbour"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines and all(line.startswith("Neighbour: ") for line in lines)
