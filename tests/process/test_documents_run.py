"""Blocks of commands in the README and the tutorial do what is said, in a network namespace of their own."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^\.\. code-block:: (shell|yaml)\n((?: {4}:.*\n)*)\n((?: {4}.*\n|\n)+)", re.M)
WAIT = "until [ -e /run/steering/rest ]; do sleep 0.1; done"
BEFORE = """\
ip link set lo up
mkdir -p /run/steering && mount -t tmpfs -o mode=0700 tmpfs /run/steering
"""


def run(page: str, folder: Path, before: str) -> tuple[str, str]:
    """Run all shell blocks of a page in `folder`, after writing its files; what was printed, and errors."""
    script = BEFORE + before
    for kind, options, text in BLOCK.findall((ROOT / page).read_text()):
        caption = re.search(r":caption: (\S+)", options)
        if caption:
            (folder / caption[1]).write_text(textwrap.dedent(text))
        elif kind == "shell":
            # A reader types the next line when the controller says that it is there.
            script += re.sub(r"&$", f"&\n{WAIT}", textwrap.dedent(text), flags=re.M)
    program = folder / "steering"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m steering "$@"\n')
    program.chmod(0o755)
    done = subprocess.run(
        ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", script],
        cwd=folder,
        env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert "Traceback" not in done.stderr and "usage" not in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_the_readme_runs_a_controller_of_the_examples(tmp_path: Path) -> None:
    out, err = run("README.rst", tmp_path, "")
    assert "net/off-path.site.yaml" in out, err
    assert "2 access networks, 1 gateway, 2 MCPs" in out, "the check"
    assert "missing     switch s1" in out and "no session" in out


# The tutorial goes on from a page at whose end a controller runs.
CONTROLLER = f"""\
set -e
steering examples off-path.site.yaml > before.yaml
steering run --site before.yaml 2> controller.log &
{WAIT}
"""


def test_the_tutorials_policy_passes_its_checks_and_is_taken_and_taken_back(tmp_path: Path) -> None:
    out, err = run("docs/tutorial.rst", tmp_path, CONTROLLER)
    assert "bulk-nearest-mcp.policy.yaml" in out and "2 access networks" in out, err
    assert "mine.yaml is in force as version 2" in out and "printers-untouched" in out, out
    assert "version 1 is in force again, as version 3" in out, out
    assert re.search(r"^outcome +\S", out, re.M), "what a connection that nobody opened would get"


def test_every_block_of_commands_of_both_pages_is_run() -> None:
    for page in ("README.rst", "docs/tutorial.rst"):
        text = (ROOT / page).read_text()
        literal = re.findall(r"[^:]::\n\n((?: {4}.*\n)+)", text) + re.findall(
            r"^::\n\n((?: {4}.*\n)+)", text, re.M
        )
        lines = [line.strip() for block in literal for line in block.splitlines()]
        typed = [line for line in lines if re.match(r"steering [a-z]", line)]
        assert typed == [], "a literal block is read and not run"
        assert len(BLOCK.findall(text)) == text.count(".. code-block::")
