"""`make screenshot` makes the picture that the README shows, and others beside it."""

import struct
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOOKS = ("page-light", "page-dark", "page-phone")


def size(picture: Path) -> tuple[int, int]:
    """Width and height of a PNG."""
    head = picture.read_bytes()[:24]
    assert head.startswith(b"\x89PNG\r\n")
    width, height = struct.unpack(">II", head[16:])
    return width, height


def test_the_command_makes_the_picture_that_the_readme_shows() -> None:
    """The pictures stay in build/, for whoever wants to look."""
    recipe = [line for line in (ROOT / "Makefile").read_text().splitlines() if "browser.screenshots" in line]
    assert recipe == ["\t@.venv/bin/python -m tests.browser.screenshots build"]
    for name in LOOKS:  # what an earlier run made shows nothing of this one
        (ROOT / "build" / f"{name}.png").unlink(missing_ok=True)
    # In a process of its own, as the browser of the other tests has this one's loop.
    subprocess.run([sys.executable, "-m", "tests.browser.screenshots", "build"], cwd=ROOT, check=True)
    made = {name: size(ROOT / "build" / f"{name}.png") for name in LOOKS}
    assert size(ROOT / "docs" / "live-page.png") in {made["page-light"], made["page-dark"]}
    assert made["page-phone"][0] < made["page-light"][0]
