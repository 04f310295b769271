"""The kept mutants: each has its place in the code, and today's share of them is noticed."""

import time

import pytest

from tests.mutants.trial import ROOT, Mutant, Untried, kept, survives

SHARE = 7
"""A mutant is tried every so many days."""

TODAY = int(time.time() // 86400)


@pytest.mark.parametrize("mutant", kept(), ids=lambda mutant: mutant.name)
def test_every_mutant_changes_one_place(mutant: Mutant) -> None:
    text = (ROOT / mutant.file).read_text()
    assert mutant.changed(text) != text
    assert mutant.tests and all((ROOT / path).exists() for path in mutant.tests)


def test_names_are_given_once() -> None:
    names = [mutant.name for mutant in kept()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("mutant", kept()[TODAY % SHARE :: SHARE], ids=lambda mutant: mutant.name)
def test_a_mutant_of_the_day_is_noticed(mutant: Mutant) -> None:
    assert not survives(mutant)


def test_a_change_without_effect_survives() -> None:
    harmless = Mutant(
        "harmless",
        "steering/relay/session/ident.py",
        "LASTS = 300.0",
        "LASTS = 300.00",
        ("tests/unit/relay/session/test_ident.py",),
    )
    assert survives(harmless)


def test_a_place_that_is_gone_is_told() -> None:
    with pytest.raises(Untried, match="0 times"):
        Mutant("gone", "x", "old", "new", ()).changed("text")
