"""`make attack` runs what docs/security.rst names; a test that fails or does not run is an attack that was not held."""

import pytest

from tests.attack.trial import TEXT, attacks, failed_tests, main

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
    assert failed_tests([good]) == set()
    assert gone in failed_tests([good, gone])


def test_the_list_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "neighbour"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines and all(line.startswith("Neighbour: ") for line in lines)
