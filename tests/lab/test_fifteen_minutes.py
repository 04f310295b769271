"""docs/fifteen-minutes.rst, run command by command as it stands there, in namespaces with an Open vSwitch of their own.

Its installation is left out here: tests/packaging/test_fresh_root.py runs all of it in a fresh Debian root. At its end the live page of that
controller is looked at in a browser.
"""

import os
import subprocess
import sys
from pathlib import Path

from tests.support import fifteen_minutes
from topologies.kit import environment, isolation

# What the page takes for granted: an empty machine, and commands that stop where one fails.
BEFORE = """\
set -e
mkdir -p /run/steering && mount -t tmpfs -o mode=0700 tmpfs /run/steering
cd {folder}
"""
# A transfer that lasts while somebody looks at the live page: some 400 s, as a slow machine's browser may need minutes.
AFTER = """
ip netns exec host mptcpize run curl -s -o copy2 --limit-rate 10K http://10.9.0.2:8000/data &
watched=$!
until steering sessions | grep 'established.* 2 '; do sleep 1; done
{python} -m tests.support.seen_page "$(steering token add --role reader --name page --json | {python} -c 'import json, sys; print(json.load(sys.stdin)["token"])')"
kill $watched
"""


def test_the_page_leads_from_nothing_to_a_session_of_two_subflows(tmp_path: Path) -> None:
    environment.require()
    script = fifteen_minutes.write_page(tmp_path, BEFORE.format(folder=tmp_path))
    with script.open("a") as more:
        more.write(AFTER.format(python=sys.executable))
    command = isolation.command(["bash", str(script)], tmp_path / "logs")
    # The program is on the PATH of a reader who installed it.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command, cwd=fifteen_minutes.ROOT, env=os.environ | {"PATH": path, "PYTHONPATH": str(fifteen_minutes.ROOT)},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr + "".join(log.read_text() for log in sorted(tmp_path.glob("*.log")))
    assert done.returncode == 0, said
    assert fifteen_minutes.missed(done.stdout, done.stderr) == [], said
    assert "page: " in done.stdout, said
