"""A running lab: the network of a plan with its servers, relays, captures and controller. A record names all of
them."""

import contextlib
import logging
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from steering.model.mechanism import Mechanism
from topologies.kit import processes, records
from topologies.kit.captures import SNAP, Capture
from topologies.kit.controller import Controller, free_port
from topologies.kit.emulator import CLI, Mininet, RemoteController, setLogLevel
from topologies.kit.kernel_counters import CounterChanges, counters
from topologies.kit.network import BuildError, LabHost, LabSwitch, SteeringTopo, has_netem, kernel_datapath
from topologies.kit.plan import Kind, Plan, split_port
from topologies.kit.processes import Agent, LabError, StartedProcess
from topologies.kit.report import Progress

PREFIX = (
    "st-lab-"  # of the names of switches, and so of all interfaces that a lab makes outside of its namespaces
)
SESSION_ENTRIES = "table=1,cookie=0x5e10000000000000/0xfff0000000000000"
CAPTURE_DELAY_S = 1.2  # the kernel may give a capture its packets up to a second late


class Lab:
    """The parts of one running lab. `running` makes it."""

    def __init__(
        self, plan: Plan, record: records.Record, net: Mininet, controller: Controller, say: Progress
    ) -> None:
        self.plan, self.record, self.controller, self.say = plan, record, controller, say
        self._net = net
        self.agents: dict[str, Agent] = {}
        self.servers: dict[str, StartedProcess] = {}
        self.relays: dict[str, StartedProcess] = {}
        self._captures: list[Capture] = []
        self._baseline: dict[str, dict[str, int]] = {}

    def host(self, name: str) -> LabHost:
        """A host by the plan's name."""
        found: LabHost = self._net.get(name)
        return found

    def switch(self, name: str) -> str:
        """The name of the bridge that is this switch of the plan."""
        return PREFIX + name

    def switch_off(self, name: str) -> None:
        """Take a switch's power away: its ports have no carrier, and it loses all entries."""
        for interface in self._wires_of(name):
            subprocess.run(["ip", "link", "set", interface, "down"], check=True, capture_output=True)
        subprocess.run(["ovs-vsctl", "del-br", self.switch(name)], check=True, capture_output=True)

    def switch_on(self, name: str) -> None:
        """Give a switch its power back. It begins with its configuration alone."""
        for interface in self._wires_of(name):
            subprocess.run(["ip", "link", "set", interface, "up"], check=True, capture_output=True)
        self._net.get(self.switch(name)).start(self._net.controllers)

    def _wires_of(self, name: str) -> list[str]:
        node = self._net.get(self.switch(name))
        return [interface.name for interface in node.intfList() if interface.name != "lo"]

    def interface(self, port: str) -> str:
        """`s1:2` -> the interface at that switch port, on the switch's side."""
        name, number = split_port(port)
        return f"{PREFIX}{name}-eth{number}"

    def start_services(self, more: Mapping[str, Sequence[str]] = MappingProxyType({})) -> None:
        """Start the servers, the relays, and an agent on every end host. `more`: further options of relays, by MCP."""
        plan = self.plan
        for box in plan.of_kind(Kind.SERVER, Kind.M_SERVER):
            self.servers[box.name] = processes.serve(
                self.record, self.host(box.name), plan.services, mptcp=box.kind is Kind.M_SERVER
            )
        for box in plan.of_kind(Kind.MCP):
            relay = processes.relay(
                self.record,
                self.host(box.name),
                plan.services,
                plan.server_prefixes(),
                (*box.relay, *more.get(box.name, ())),
            )
            self.relays[box.name] = relay
        for box in plan.of_kind(Kind.CPE):
            self.relays[box.name] = processes.upstream_relay(
                self.record, self.host(box.name), len(box.nics), box.relay
            )
        for box in plan.of_kind(Kind.DUAL, Kind.PLAIN, Kind.SERVER, Kind.M_SERVER):
            self.agents[box.name] = Agent(self.record, self.host(box.name))
        self.mark()

    def start_controller(self, disabled: Sequence[str] | None = None) -> None:
        """Start the controller and wait until every switch has its entries.

        The controller is told those mechanisms of `disabled` that it knows. The others are the scenario's own.
        """
        self.controller.start(None if disabled is None else [m for m in disabled if m in list(Mechanism)])
        self.controller.wait_ready()

    def mark(self) -> None:
        """Note all counters: `counted` tells their growth from here on."""
        self._baseline = {box.name: counters(self.host(box.name)) for box in self.plan.boxes}

    def counted(self, name: str) -> CounterChanges:
        """The growth of a host's MPTCP counters since the last `mark`."""
        return CounterChanges(self._baseline[name], counters(self.host(name)))

    def capture_port(self, port: str, what: str = "tcp", snap: int = SNAP) -> Capture:
        """Capture at a switch port, from the switch's side; `snap` bytes of each packet, 0 for all."""
        return self._capture(Capture(self.record, self.interface(port), None, what, snap))

    def capture_host(self, name: str, nic: int = 0, what: str = "tcp") -> Capture:
        """Capture at a host's interface, inside its namespace."""
        host = self.host(name)
        return self._capture(Capture(self.record, host.interface(nic), host, what))

    def capture_interface(self, interface: str, what: str) -> Capture:
        """Capture whole packets at an interface of the lab's own namespace."""
        return self._capture(Capture(self.record, interface, None, what, 0))

    def _capture(self, capture: Capture) -> Capture:
        self._captures.append(capture)
        return capture

    def stop_captures(self) -> None:
        """End all captures; their files stay until the lab ends. Raises LabError if one lost packets."""
        time.sleep(CAPTURE_DELAY_S)
        captures, self._captures = self._captures, []
        for capture in captures:
            capture.stop()

    def command_line(self) -> None:
        """Open Mininet's own prompt on this network."""
        CLI(self._net)


@contextlib.contextmanager
def running(
    plan: Plan, say: Progress, disabled: Sequence[str] = (), keep: records.Keep = records.Keep.NOTHING
) -> Iterator[Lab]:
    """Build a lab, and remove it at the end whatever happened inside. Raises LabError, records.Busy.

    `keep`: what stays of its directory. The path of one that stays whole is printed.
    """
    setLogLevel("critical")
    logging.getLogger("mininet").propagate = False
    with records.lock():
        for line in records.clean():
            say(f"removed what an earlier lab left: {line}")
        record = records.open_record(plan.name)
        try:
            yield from _built(plan, record, say, disabled)
        except (LabError, BuildError) as error:
            place = record.directory if keep is records.Keep.ALL else _saved_logs(record)
            raise LabError(f"{error} (logs: {place})") from None
        finally:
            if keep is records.Keep.LOGS:
                _saved_logs(record)
            records.remove(record, keep is records.Keep.ALL)
            if keep is records.Keep.ALL:
                say(f"kept {record.directory}")


def _built(plan: Plan, record: records.Record, say: Progress, disabled: Sequence[str]) -> Iterator[Lab]:
    say(f"building {plan.name}: {len(plan.switches)} switches, {len(plan.boxes)} hosts")
    controller = Controller(record, plan, [m for m in disabled if m in list(Mechanism)])
    record.switches = [PREFIX + switch for switch in plan.switches]
    record.save()
    net = Mininet(topo=SteeringTopo(plan, PREFIX), controller=None, switch=LabSwitch, build=False)
    net.addController("c0", controller=RemoteController, ip="127.0.0.1", port=controller.port)
    try:
        _start(net, record)
        _check_shapes(plan, net)
        for switch, delay in plan.slow:
            _slow_down(record, controller, PREFIX + switch, delay)
        yield Lab(plan, record, net, controller, say)
    finally:
        records.end_processes([p for p in record.processes if not p.what.startswith("namespace ")])
        # After an interrupted command a node of Mininet takes no further one. The record removes what stays behind.
        with contextlib.suppress(Exception):
            net.stop()


def _start(net: Mininet, record: records.Record) -> None:
    """Build the network and write its processes into the record. Raises LabError; Mininet itself raises bare
    Exceptions."""
    try:
        net.build()
        for node in [*net.hosts, *net.switches, *net.controllers]:
            record.add_process(node.pid, f"namespace {node.name}")
        net.start()
    except Exception as error:
        complaint = " ".join(str(error).split()) or type(error).__name__
        raise LabError(f"the network cannot be built: {complaint}") from None


def _slow_down(record: records.Record, controller: Controller, bridge: str, delay_ms: int) -> None:
    """Delay the messages of a switch on their way to the controller."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "topologies.programs.slow_channel",
        str(port),
        str(controller.port),
        str(delay_ms),
    ]
    StartedProcess(record, f"slow-{bridge}", command)
    set_controller(bridge, port)


def ofctl(bridge: str, *words: str) -> str:
    """Run `ovs-ofctl` on a switch; the controller does not learn of it. Raises LabError."""
    done = subprocess.run(
        ["ovs-ofctl", "-O", "OpenFlow13", words[0], bridge, *words[1:]],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LabError(f"ovs-ofctl {words[0]} {bridge}: {done.stderr.strip()}")
    return done.stdout


def session_entries(lab: Lab) -> int:
    """How many session entries all switches hold: entries of table SESSION that have a session's cookie."""
    dumps = (ofctl(lab.switch(name), "dump-flows", SESSION_ENTRIES) for name in lab.plan.switches)
    return sum(line.count("cookie=") for dump in dumps for line in dump.splitlines())


def set_controller(bridge: str, port: int) -> None:
    """Set the loopback port at which a switch finds its controller. The switch connects anew, even if the port is the
    same."""
    subprocess.run(["ovs-vsctl", "del-controller", bridge], check=True, capture_output=True)
    command = ["ovs-vsctl", "--", "set-controller", bridge, f"tcp:127.0.0.1:{port}"]
    command += ["--", "set", "controller", bridge, "max_backoff=1000"]
    subprocess.run(command, check=True, capture_output=True)


def _saved_logs(record: records.Record) -> str:
    """Keep logs and captures of a lab that is over; the path where they are. Files that cannot be kept are lost, since the
    lab has to be removed in any case."""
    target = records.next_logs(record.directory.name)
    with contextlib.suppress(OSError):
        target.mkdir(parents=True, exist_ok=True)
        for kept in (*record.directory.glob("*.log"), *record.directory.glob("*.pcap")):
            kept.replace(target / kept.name)
    return str(target)


def _check_shapes(plan: Plan, net: Mininet) -> None:
    """Check that every shaped interface has its limit: where tc refuses, Mininet only prints a line and goes on.
    Raises LabError."""
    shaped: list[tuple[Any, str]] = []
    for box in plan.boxes:
        for number, nic in enumerate(box.nics):
            if nic.mbit is not None:
                host = net.get(box.name)
                shaped.append((host, host.interface(number)))
    for node, interface in shaped:
        peer = node.intf(interface).link
        for end in (peer.intf1, peer.intf2):
            listed = end.node.cmd(f"tc qdisc show dev {end.name}")
            if " tbf " not in listed:
                raise LabError(f"{end.name} is not shaped: tc says '{listed.strip() or 'nothing'}'")


def environment() -> dict[str, Any]:
    """What the lab runs on, for the report: kernel, Open vSwitch and so on."""
    version = subprocess.run(["ovs-vsctl", "--version"], capture_output=True, text=True, check=False).stdout
    kernel = subprocess.run(["uname", "-r"], capture_output=True, text=True, check=False).stdout
    netem = has_netem()
    return {
        "kernel": kernel.strip(),
        "open_vswitch": version.splitlines()[0].split()[-1],
        "datapath": "kernel" if kernel_datapath() else "userspace",
        "netem": netem,
        "links": "rate limits only (TBF)"
        + ("" if netem else ": this kernel has no netem, so no delay, no loss"),
    }
