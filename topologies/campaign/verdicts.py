"""What one run of a lab shows: passed or failed; of a negative control caught, missed, astray or broken.

A control is *caught* when exactly the checks fail that its scenario names. It is *missed* when one of them holds, and
*astray* when another one fails: then something else went wrong, and the run says nothing of the mechanism. A run that
*broke* (no report, or the lab itself did not work) shows nothing.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from topologies.kit.scenario import Breaks

BROKEN_LAB = "the lab itself works"


@dataclass(frozen=True)
class Verdict:
    """`word` as above. `held`: checks that had to fail; `strays`: checks that failed and may not, both of a control."""

    word: str
    held: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether the run showed what it had to."""
        return self.word in ("passed", "caught")


def of_lab(document: dict[str, Any]) -> Verdict:
    """The verdict on a lab with all its mechanisms, by its report ({} where there is none)."""
    if not document or BROKEN_LAB in missed(document):
        return Verdict("broken")
    return Verdict("passed" if document["passed"] else "failed")


def of_control(document: dict[str, Any], breaks: Breaks | None) -> Verdict:
    """The verdict on a lab without one mechanism; where nobody named what it breaks, any check will do."""
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
    """Whether a check is of a rate, which two labs side by side and whoever else is on the machine cost."""
    return "goodput" in name


def only_rates(failed: Collection[str]) -> bool:
    """Whether rates were missed and nothing else, so that the lab may be measured once more."""
    return bool(failed) and all(map(is_rate, failed))
