"""A lab that ran the way an operator runs it, by its command, and what its JSON report says."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Ran:
    """Exit status, report ({} if there is none), everything that was said, and the seconds it took."""

    status: int
    report: dict[str, Any]
    said: str
    seconds: float

    def failed(self, view: str = "") -> list[str]:
        """Names of the checks that did not hold, of one view or of all."""
        checks = self.report.get("checks", [])
        return [c["name"] for c in checks if not c["held"] and (not view or c["view"] == view)]


def assert_held(ran: Ran) -> None:
    """Every check held, there were some, and each of the three views made some of them."""
    assert ran.failed() == []
    assert ran.status == 0 and ran.report["passed"]
    assert {"kernel", "capture", "REST"} <= {check["view"] for check in ran.report["checks"]}
