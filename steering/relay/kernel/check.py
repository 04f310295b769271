"""`steering relay --check`: which settings of this machine's kernel a relay with these options lacks, one per line.

The needed settings are those that --apply makes and --nft prints, and come from the same places: `sysctls`,
`rules.routing`, `rules.tables` and `uplinks`. The check changes nothing, and needs no running relay.
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from steering.relay.kernel import check_nft, check_routes, mss, rules, sysctls, uplink_watch, uplinks
from steering.relay.kernel.commands import RuleError, command
from steering.relay.kernel.sockets import check_platform
from steering.relay.kernel.uplinks import Uplink
from steering.relay.log import Log
from steering.relay.model import PlatformError
from steering.relay.options.relay_options import RelayOptions

SETTLED_S = 1.0
"""Seconds after a relay's start until its check, so that the first connections do not wait for nft."""

LAST_S = 0.2
MOST_TOLD = 20
"""Most faults in a log. --check shows all."""


class FaultKind(StrEnum):
    """Kinds of faults."""

    PLATFORM = "platform"
    TOOL = "tool"
    SYSCTL = "sysctl"
    INTERFACE = "interface"
    LISTENER_PORT = "listener-port"
    INTERCEPTION = "interception"
    NFT = "nft"
    IP_RULE = "ip-rule"
    ROUTE = "route"
    ENDPOINT = "endpoint"
    LIMITS = "limits"


class Fault(NamedTuple):
    """One misconfiguration: what is wrong, what it causes, and a command that mends it ("" where no single command
    does)."""

    kind: FaultKind
    what: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}" + (f" (mend: {self.fix})" if self.fix else "")


class CheckedMachine(Protocol):
    """The machine that is checked."""

    def sysctl(self, name: str) -> str | None:
        """The value of a setting; None where it does not exist."""

    def interfaces(self) -> Sequence[str]:
        """The names of all interfaces of this network namespace."""

    def platform(self) -> str:
        """Why no relay can run on this machine; "" where one can."""

    def run(self, line: str, text: str | None = None) -> str:
        """Run a command; its output. Raises RuleError."""


class ThisMachine:
    """This machine, in the caller's network namespace."""

    def sysctl(self, name: str) -> str | None:
        try:
            return sysctls.path_of(name).read_text().strip()
        except OSError:
            return None

    def interfaces(self) -> Sequence[str]:
        return sorted(
            name for name in os.listdir(sysctls.path_of(sysctls.INTERFACES)) if name not in ("all", "default")
        )

    def platform(self) -> str:
        try:
            check_platform(will_enable=True)
        except PlatformError as error:
            return str(error)
        return ""

    def run(self, line: str, text: str | None = None) -> str:
        return command(line, text=text) or ""


Look = Callable[[RelayOptions, CheckedMachine, Sequence[Uplink]], Iterable[Fault]]


def faults(options: RelayOptions, machine: CheckedMachine, ways: Sequence[Uplink] = ()) -> list[Fault]:
    """All faults. Empty where the kernel has all settings that the relay needs."""
    why = machine.platform()
    if why:
        return [Fault(FaultKind.PLATFORM, why)]
    found = [*_settings(options, machine)]
    looks: list[Look] = [_interfaces, _routes, _limits]
    if intercepts(options):
        looks.append(_tables)
    for look in looks:
        try:
            found += look(options, machine, ways)
        except RuleError as error:
            found.append(Fault(FaultKind.TOOL, f"it cannot be looked at: {error}"))
    return found


def ways_of(options: RelayOptions) -> tuple[tuple[Uplink, ...], list[Fault]]:
    """The current uplinks of a CPE, and the faults where they cannot be read."""
    if options.upstream is None:
        return (), []
    try:
        return uplink_watch.read(options.upstream.uplinks), []
    except RuleError as error:
        return (), [Fault(FaultKind.INTERFACE, str(error))]


class Warnings:
    """Checks after a relay's start, while it serves already, and writes faults into its log. It writes nothing more
    once the relay is stopped."""

    def __init__(
        self,
        options: RelayOptions,
        log: Log,
        ways: Sequence[Uplink],
        machine: CheckedMachine,
        settled: float = SETTLED_S,
    ) -> None:
        self._what = (options, machine, ways)
        self._log = log
        self._settled = settled
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="check", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()

    def _run(self) -> None:
        if self._over.wait(self._settled):
            return
        found = faults(*self._what)
        if self._over.wait(LAST_S):  # the check may have failed only because the relay was ended
            return
        for fault in found[:MOST_TOLD]:
            if not self._over.is_set():
                self._log.event("misconfigured", kind=fault.kind, what=fault.what, mend=fault.fix or None)
        if len(found) > MOST_TOLD and not self._over.is_set():
            self._log.event("misconfigured", more=len(found) - MOST_TOLD)


def intercepts(options: RelayOptions) -> bool:
    """Whether the kernel has to lead connections to this relay. It has not where hosts address the relay itself."""
    return bool(options.prefixes) or options.upstream is not None


def _settings(options: RelayOptions, machine: CheckedMachine) -> Iterator[Fault]:
    families = _families(options)
    for setting in sysctls.settings(options):
        # `default` is for future interfaces.
        if setting.version in families and not setting.name.startswith(f"{sysctls.INTERFACES}.default."):
            yield from _setting(setting, machine)


def _setting(setting: sysctls.Setting, machine: CheckedMachine) -> Iterator[Fault]:
    value = machine.sysctl(setting.name)
    if value is None:
        yield Fault(FaultKind.SYSCTL, f"{setting.name} is not there: {setting.without}")
    elif not setting.holds(value):
        yield Fault(
            FaultKind.SYSCTL,
            f"{setting.name} is {value}, {setting.value} is wanted: {setting.without}",
            f"sysctl -w {setting.path.relative_to(sysctls.PROC)}={setting.value}",
        )


def _interfaces(options: RelayOptions, machine: CheckedMachine, _ways: Sequence[Uplink]) -> Iterator[Fault]:
    """Faults of interfaces: those that the options name and those that lead to servers. Where none is named, all."""
    there = machine.interfaces()
    named = (*options.inside, *(options.upstream.uplinks if options.upstream else ()))
    for name in named:
        if name not in there:
            yield Fault(
                FaultKind.INTERFACE, f"there is no interface {name}: nothing comes in or goes out by it"
            )
    if 4 not in _families(options):
        return
    concerned = set(there) - {"lo"}
    if named:
        outside = check_routes.towards(options.prefixes, check_routes.rows(machine.run("ip -j route show")))
        concerned &= {*named, *outside}
    for name in sorted(concerned):
        for setting in sysctls.PER_INTERFACE:
            yield from _setting(sysctls.of_interface(setting, name), machine)


def _families(options: RelayOptions) -> frozenset[int]:
    """The IP versions that are relayed, and 0, which stands for settings that concern no version."""
    given = {prefix.version for prefix in options.prefixes}
    both = not given or options.explicit or options.upstream or options.source.nat64
    return frozenset({0, 4, 6} if both else {0, *given})


def _routes(options: RelayOptions, machine: CheckedMachine, ways: Sequence[Uplink]) -> Iterator[Fault]:
    lines: list[str] = [*rules.routing(options)] if intercepts(options) else []
    if ways:
        lines += [*uplinks.routing(ways), *uplinks.endpoints(ways)]
    families = _families(options)
    for lacking in check_routes.lacking(lines, machine.run):
        if lacking.version in families:
            yield Fault(FaultKind(lacking.kind), lacking.what, lacking.line)


def _limits(options: RelayOptions, machine: CheckedMachine, _ways: Sequence[Uplink]) -> Iterator[Fault]:
    line = rules.limits(options)
    allowed = check_routes.numbers(machine.run("ip mptcp limits show"))
    for name, wanted in check_routes.numbers(line).items():
        if allowed.get(name, 0) < wanted:
            told = f"MPTCP allows {allowed.get(name, 0)} {name}, {wanted} are wanted: later ones are refused"
            yield Fault(FaultKind.LIMITS, told, line)


def _tables(options: RelayOptions, machine: CheckedMachine, ways: Sequence[Uplink]) -> Iterator[Fault]:
    wanted = list(rules.tables(options))
    if options.upstream:
        names = [way.interface for way in ways]
        text = uplinks.ruleset(names, options.inside, options.upstream)
        wanted.append(rules.NftTable(uplinks.TABLE, text, "what is not relayed is not masqueraded"))
    # Where the controller has switched clamping off, the table exists without its chains.
    may_be_empty = frozenset({mss.TABLE}) if options.agent else frozenset()
    for problem in check_nft.problems(wanted, machine.run, may_be_empty):
        yield Fault(FaultKind(problem.kind), problem.what)
