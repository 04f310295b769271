"""What one run of a lab shows: passed or failed; of a negative control caught, missed, astray or broken.

A negative control is *caught* when exactly those checks fail that its scenario names for it. The control is *missed*
when one of these checks holds. It is *astray* when another check fails: something else went wrong, so the run says
nothing about the mechanism. A run is *broken* when there is no report or the lab itself did not work: it shows
nothing.
"""

from collections.abc import Collection
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
    strays = tuple(name for name in failed if name not in breaks.must | breaks.may and not is_rate(name))
    return Verdict("missed" if held else "astray" if strays else "caught", held, strays)


def missed(document: dict[str, Any]) -> list[str]:
    """Names of the checks of a report that did not hold."""
    return [check["name"] for check in document.get("checks", []) if not check["held"]]


def is_rate(name: str) -> bool:
    """Whether a check is about a rate, a second or a 95th percentile of times, which other work on the machine costs."""
    return "goodput" in name or "within a second" in name or "p95" in name


def only_rates(failed: Collection[str]) -> bool:
    """Whether only checks of rates failed, so that the lab may be run once more."""
    return bool(failed) and all(map(is_rate, failed))
