"""A controller that starts finds 100,000 entries again in a real switch, each of a session of its own.

It has two seconds for that, of which the switch's own dump is a part. The test prints how long it took, and judges what
the controller computed, in seconds of processor: the machine has other work.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from ipaddress import ip_address
from pathlib import Path

import pytest

from steering.model.network import PortRef, waypoint_id
from steering.model.numbers import stable_id
from steering.model.rules import Table
from steering.model.session import Entry, pack_cookie
from steering.openflow.messages.templates import entry_add
from tests.integration.ovs import Switch, run, switch
from tests.support.controller_process import free_port

SESSIONS = 100_000
CPU_S = 5.0  # some seven times what it takes
SITE = """
site: 1
discover: false
switches: {{edge: "{dpid:016x}"}}
access_networks:
  - {{name: lte, type: cellular, prefixes: [10.1.0.0/16], ports: [edge:1]}}
gateways:
  - {{name: net, prefixes: [10.9.0.0/24], ports: [edge:2]}}
mcps:
  - {{name: core, type: off-path, port: edge:3, addresses: [10.8.0.2], source_mode: transparent,
     capacity: {{sessions: 1000000}}}}
"""


def fill(one: Switch, dpid: int) -> None:
    """Uplink entries of that many sessions, each with a token of its own."""
    waypoint, server = waypoint_id("core", PortRef(dpid, 3)), ip_address("10.9.0.2").packed
    batch = []
    for number in range(SESSIONS):
        host = (0x0A010000 + 2 + number % 60_000).to_bytes(4, "big")
        cookie = pack_cookie(0, 0, stable_id("core"), number + 1)
        batch.append(
            entry_add(Entry(dpid, 1, 4, host, server, 1024 + number // 60_000, 443, waypoint, 0, cookie))
        )
        if len(batch) == 2_000:
            assert one.send(b"".join(batch)) == []
            batch.clear()


def dumped(one: Switch) -> float:
    """Seconds that the switch needs to tell its entries to somebody who does nothing with them."""
    began = time.monotonic()
    one.flow_stats(Table.SESSION)
    return time.monotonic() - began


def computed(process: int) -> float:
    """Seconds of processor that a process has had (proc(5), fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read_back(folder: Path, port: int) -> tuple[float, float]:
    """Seconds from the switch's connection until every session is known again, and seconds of processor that the
    controller had for it; ends the controller."""
    rest, state = free_port(), folder / "state"
    command = [sys.executable, "-m", "steering", "run", "--site", str(folder / "site.yaml")]
    command += ["--listen", f"127.0.0.1:{port}", "--rest", f"127.0.0.1:{rest}", "--state-dir", str(state)]
    controller = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=os.environ)
    try:
        connected, had = None, 0.0
        for _ in range(1_800):
            before = computed(controller.pid)
            time.sleep(0.05)
            try:
                token = (state / "token").read_text().strip()
                request = urllib.request.Request(
                    f"http://127.0.0.1:{rest}/v1/health", headers={"Authorization": f"Bearer {token}"}
                )
                with urllib.request.urlopen(request, timeout=60) as answer:
                    health = json.load(answer)
            except OSError:
                continue
            now = time.monotonic()
            if health["switches"]["connected"] and connected is None:
                connected, had = now, before
            if connected is not None and sum(health["sessions"].values()) == SESSIONS:
                return now - connected, computed(controller.pid) - had
        raise AssertionError("the sessions were never read back")
    finally:
        controller.send_signal(signal.SIGTERM)
        controller.wait(60)


@pytest.mark.row("D-6.2c")
def test_a_hundred_thousand_sessions_are_read_back_with_little_to_compute(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    with switch(ports=3) as one:
        # Before the entries: a bridge forgets its own when it is given a controller.
        run("ovs-vsctl", "set-fail-mode", one.name, "secure", "--", "set-controller", one.name,
            f"tcp:127.0.0.1:{port}", "--", "set", "controller", one.name, "max_backoff=1000")  # fmt: skip
        time.sleep(1)
        dpid = int(run("ovs-vsctl", "get", "bridge", one.name, "datapath_id").strip().strip('"'), 16)
        (tmp_path / "site.yaml").write_text(SITE.format(dpid=dpid))
        fill(one, dpid)
        dump = dumped(one)
        seconds, cpu = read_back(tmp_path, port)
        with capsys.disabled():
            print(
                f"\n{SESSIONS} entries: the switch alone {dump:.2f} s, sessions known again in {seconds:.2f} s"
                f" ({cpu:.2f} s of processor)"
            )
        assert cpu < CPU_S
