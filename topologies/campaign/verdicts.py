"""What one run of a lab shows: passed or failed; of a negative control caught, missed, astray or broken.

A negative control is *caught* when exactly those checks fail that its scenario names for it. The control is *missed*
when one of these checks holds. It is *astray* when another check fails: something else went wrong, so the run says
nothing about the mechanism. A run is *broken* when there is no report or the lab itself did not work: it shows
nothing.
"""

from dataclasses import dataclass
from typing import Any

from topologies.kit.scenario import Breaks

BROKEN_LAB = "the lab itself works"


@dataclass(frozen=True)
class Verdict:
    """`word` as above. For a control: `held` are checks that should have failed, `strays` checks that failed and
    should not have."""

    word: str
    held: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether the lab passed, or the control was caught."""
        return self.word in ("passed", "caught")


def of_lab(document: dict[str, Any]) -> Verdict:
    """The verdict on a lab with all its mechanisms, by its report ({} where there is none)."""
    if not document or BROKEN_LAB in missed(document):
        return Verdict("broken")
    return Verdict("passed" if document["passed"] else "failed")


def of_control(document: dict[str, Any], breaks: Breaks | None) -> Verdict:
    """The verdict on a lab without one mechanism. Where `breaks` names no checks, the failure of any check is
    enough."""
    failed = missed(document)
    if not document or BROKEN_LAB in failed:
        return Verdict("broken")
    if breaks is None:
        return Verdict("caught" if failed else "missed")
    held = tuple(sorted(breaks.must - set(failed)))
    named = breaks.must | breaks.may | set(rates(document))
    strays = tuple(name for name in failed if name not in named)
    return Verdict("missed" if held else "astray" if strays else "caught", held, strays)


def missed(document: dict[str, Any]) -> list[str]:
    """Names of the checks of a report that did not hold."""
    return [check["name"] for check in document.get("checks", []) if not check["held"]]


def rates(document: dict[str, Any]) -> list[str]:
    """Names of the checks of a report that did not hold and that the lab declared as rates (`Report.rate`)."""
    return [check["name"] for check in document.get("checks", []) if not check["held"] and check.get("rate")]


def only_rates(document: dict[str, Any]) -> bool:
    """Whether only checks of rates failed, so that the lab may be run once more."""
    failed = missed(document)
    return bool(failed) and len(rates(document)) == len(failed)
