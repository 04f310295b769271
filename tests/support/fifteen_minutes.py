"""docs/fifteen-minutes.rst as a script: its commands in their order, and what has to come of them."""

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "fifteen-minutes.rst"
INSTALLS = "Debian 12"  # the caption of what installs the package
BLOCK = re.compile(r"^\.\. code-block:: (shell|yaml)\n((?: {4}:.*\n)*)\n((?: {4}.*\n|\n)+)", re.M)


class PageBlock(NamedTuple):
    """Commands (`shell`), or a file whose name is the caption."""

    kind: str
    caption: str
    text: str


def blocks() -> list[PageBlock]:
    """Every block of the page that is run or written."""
    found = []
    for kind, options, text in BLOCK.findall(PAGE.read_text()):
        caption = re.search(r":caption: (.+)", options)
        found.append(PageBlock(kind, caption[1] if caption else "", textwrap.dedent(text)))
    return found


def installation() -> str:
    """The commands that install the package on Debian."""
    (block,) = [block for block in blocks() if block.caption == INSTALLS]
    return block.text


def package() -> str:
    """The name of the package's file, as the page has it."""
    (name,) = re.findall(r"^apt install \./(\S+) ", installation(), re.M)
    return str(name)


def write_page(folder: Path, before: str) -> Path:
    """Write the files of the page into a folder, and all its other commands as one script, which begins with `before` and shows where it
    is. Returns the script."""
    script = before
    step = 0
    for kind, caption, text in blocks():
        if kind == "yaml":
            (folder / caption).write_text(text)
        elif not caption:
            script += f"echo ======== {step}\n{text}"
            step += 1
    path = folder / "page.sh"
    path.write_text(script)
    return path


def missed(out: str, err: str) -> list[str]:
    """What the page promises and its commands did not print. The page itself waits for a session of two subflows."""
    ailments = set(re.findall(r"^(\w+): .* \(mend: ", out, re.M))
    line = r"^1 +established +core +10\.1\.0\.2:\d+ +10\.9\.0\.2:8000 +2 "
    held = {
        "the site file is written and passes": "site.yaml is written and passes" in err,
        "the ports are told by their names": "s1-wlan" in out and "core" in out,
        "a session of two subflows at the MCP": re.search(line, out, re.M) is not None,
        "the reason is explained": "proxy, MCP core" in out,
        f"doctor names nothing but the clock: {sorted(ailments)}": ailments <= {"clock"},
    }
    return [what for what, holds in held.items() if not holds]
