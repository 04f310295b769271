"""A single-member etcd for a lab, and a standby controller beside the lab's own."""

import urllib.request
from contextlib import suppress

from topologies.kit.controller import Controller, free_port
from topologies.kit.lab import Lab
from topologies.kit.processes import StartedProcess

READY_S = 30.0


def start_etcd(lab: Lab) -> str:
    """Start it, and wait until it serves; its URL. Raises LabError."""
    client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    command = [
        *("etcd", "--name", "lab", "--data-dir", str(lab.record.directory / "etcd"), "--logger", "zap"),
        *("--listen-client-urls", client, "--advertise-client-urls", client),
        *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
        *("--initial-cluster", f"lab={peer}"),
    ]
    process = StartedProcess(lab.record, "etcd", command)

    def serves() -> bool:
        with suppress(OSError), urllib.request.urlopen(f"{client}/health", timeout=1.0) as answer:
            return b"true" in answer.read()
        return False

    process.wait_for(serves, READY_S, "not ready")
    return client


def member_options(etcd: str, name: str) -> tuple[str, ...]:
    """The options of `steering run` that make it a member of the lab's cell."""
    return ("--cluster", etcd, "--cluster-name", name, "--cluster-cell", "lab")


def standby(lab: Lab, etcd: str, name: str) -> Controller:
    """A second controller of the lab's network, not started yet."""
    return Controller(lab.record, lab.plan, (), f"controller-{name}", member_options(etcd, name))
