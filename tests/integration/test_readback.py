"""A controller that starts finds 100,000 sessions again in a real switch, and quickly."""

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

from steering.model.network import PortRef, stable_id, waypoint_id
from steering.model.session import Entry, pack_cookie
from steering.openflow.templates import entry_add
from tests.integration.ovs import Switch, run, switch
from tests.process.running import free_port

SESSIONS, SECONDS, TRIES = 100_000, 2.0, 3
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


def read_back(folder: Path, port: int) -> float:
    """Seconds from the switch's connection until every session is known again; ends the controller."""
    rest, state = free_port(), folder / "state"
    command = [sys.executable, "-m", "steering", "run", "--site", str(folder / "site.yaml")]
    command += ["--listen", f"127.0.0.1:{port}", "--rest", f"127.0.0.1:{rest}", "--state-dir", str(state)]
    controller = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=os.environ)
    try:
        connected = None
        for _ in range(600):
            time.sleep(0.02)
            try:
                token = (state / "token").read_text().strip()
                request = urllib.request.Request(
                    f"http://127.0.0.1:{rest}/v1/health", headers={"Authorization": f"Bearer {token}"}
                )
                with urllib.request.urlopen(request, timeout=20) as answer:
                    health = json.load(answer)
            except OSError:
                continue
            now = time.monotonic()
            if health["switches"]["connected"] and connected is None:
                connected = now
            if connected is not None and sum(health["sessions"].values()) == SESSIONS:
                return now - connected
        raise AssertionError("the sessions were never read back")
    finally:
        controller.send_signal(signal.SIGTERM)
        controller.wait(10)


@pytest.mark.row("D-6.2c")
def test_a_hundred_thousand_sessions_are_read_back_in_two_seconds(tmp_path: Path) -> None:
    port = free_port()
    with switch(ports=3) as one:
        # Before the entries: a bridge forgets its own when it is given a controller.
        run("ovs-vsctl", "set-fail-mode", one.name, "secure", "--", "set-controller", one.name,
            f"tcp:127.0.0.1:{port}", "--", "set", "controller", one.name, "max_backoff=1000")  # fmt: skip
        time.sleep(1)
        dpid = int(run("ovs-vsctl", "get", "bridge", one.name, "datapath_id").strip().strip('"'), 16)
        (tmp_path / "site.yaml").write_text(SITE.format(dpid=dpid))
        fill(one, dpid)
        took = []
        for _ in range(TRIES):
            took.append(read_back(tmp_path, port))
            if took[-1] < SECONDS:
                break
        print(f"\n{SESSIONS} sessions read back in {', '.join(f'{seconds:.2f}' for seconds in took)} s")
        assert min(took) < SECONDS
