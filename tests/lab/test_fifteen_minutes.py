"""docs/fifteen-minutes.rst, run command by command as it stands there, in namespaces with an Open vSwitch of their own."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

from topologies.kit import environment, isolation

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "fifteen-minutes.rst"
BLOCK = re.compile(r"^\.\. code-block:: (shell|yaml)\n((?: {4}:.*\n)*)\n((?: {4}.*\n|\n)+)", re.M)
# What the page takes for granted: an empty machine, and commands that stop where one fails.
BEFORE = """\
set -e
mkdir -p /run/steering && mount -t tmpfs -o mode=0700 tmpfs /run/steering
cd {folder}
"""


def blocks() -> list[tuple[str, str, str]]:
    """Language, options and text of each block that is run or written."""
    return [(kind, options, textwrap.dedent(text)) for kind, options, text in BLOCK.findall(PAGE.read_text())]


def test_the_page_leads_from_nothing_to_a_session_of_two_subflows(tmp_path: Path) -> None:
    environment.require()
    script = BEFORE.format(folder=tmp_path)
    for kind, options, text in blocks():
        caption = re.search(r":caption: (\S+)", options)
        if caption:
            (tmp_path / caption[1]).write_text(text)
        elif kind == "shell":
            script += "".join(f"echo {'=' * 8} {number}\n{text}" for number in [script.count("=" * 8)])
    (tmp_path / "page.sh").write_text(script)
    command = isolation.command(["bash", str(tmp_path / "page.sh")], tmp_path / "logs")
    # The program is on the PATH of a reader who installed it.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr + "".join(log.read_text() for log in sorted(tmp_path.glob("*.log")))
    assert done.returncode == 0, said
    assert "site.yaml is written and passes" in done.stderr
    # The page itself waits for two subflows.
    assert re.search(r"^1 +established +core +10\.1\.0\.2:\d+ +10\.9\.0\.2:8000 +2 ", done.stdout, re.M), said
    assert "proxy, MCP core" in done.stdout
    ailments = re.findall(r"^(\w+): .* \(mend: ", done.stdout, re.M)
    assert set(ailments) <= {"clock"}, said
    assert "s1-wlan" in done.stdout and "core" in done.stdout
