"""An etcd of one or more members for a lab, and a standby controller beside the lab's own."""

import urllib.request
from contextlib import suppress

from topologies.kit.controller import LOOPBACK, Controller, free_port
from topologies.kit.lab import Lab
from topologies.kit.processes import StartedProcess

READY_S = 30.0


def start_etcd(lab: Lab, members: int = 1, address: str = LOOPBACK) -> str:
    """Start etcd and wait until every member serves; the members' URLs, comma separated. `address`: at which controllers reach
    it. Raises LabError."""
    clients, peers = ([f"http://{one}:{free_port()}" for _ in range(members)] for one in (address, LOOPBACK))
    names = [f"etcd-{number}" for number in range(1, members + 1)]
    cluster = ",".join(f"{name}={peer}" for name, peer in zip(names, peers, strict=True))
    started = []
    for name, client, peer in zip(names, clients, peers, strict=True):
        command = [
            *("etcd", "--name", name, "--data-dir", str(lab.record.directory / name), "--logger", "zap"),
            *("--listen-client-urls", client, "--advertise-client-urls", client),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
            *("--initial-cluster", cluster),
        ]
        started.append((StartedProcess(lab.record, name, command), client))
    for process, client in started:
        process.wait_for(lambda client=client: _serves(client), READY_S, "not ready")  # type: ignore[misc]
    return ",".join(clients)


def _serves(client: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{client}/health", timeout=1.0) as answer:
        return b"true" in answer.read()
    return False


def member_options(etcd: str, name: str) -> tuple[str, ...]:
    """The options of `steering run` that make it a member of the lab's cell."""
    return ("--cluster", etcd, "--cluster-name", name, "--cluster-cell", "lab")


def standby(lab: Lab, etcd: str, name: str) -> Controller:
    """A second controller of the lab's network, not started yet."""
    return Controller(lab.record, lab.plan, (), f"controller-{name}", member_options(etcd, name))
