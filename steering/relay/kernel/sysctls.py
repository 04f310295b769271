"""The sysctls that a relay needs, each with what goes wrong without it. --apply sets them, --check checks them.

Source: measured facts of kernel MPTCP (docs/design/measured.rst).
"""

import operator
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from steering.relay.kernel.commands import RuleError
from steering.relay.kernel.implicit_mode import C_FLAG
from steering.relay.options.relay_options import RelayOptions

PM_TYPE = "net.mptcp.pm_type"
"""0: the kernel's own path manager. 1: the agent. A session keeps the one with which it began."""

INTERFACES = "net.ipv4.conf"
PROC = Path("/proc/sys")


class Setting(NamedTuple):
    """A sysctl. `fits(found, value)`: whether another value is good too. `version`: the IP version that it concerns,
    0 for both."""

    name: str
    value: str
    without: str
    fits: Callable[[int, int], bool] = operator.eq
    version: int = 0

    @property
    def path(self) -> Path:
        return path_of(self.name)

    def holds(self, found: str) -> bool:
        """Whether the kernel's value is good."""
        return found.lstrip("-").isdigit() and self.fits(int(found), int(self.value))


def _not_strict(found: int, _wanted: int) -> bool:
    """Whether reverse-path filtering is not strict. Loose filtering (2) only demands a route back, and hosts and
    servers have one."""
    return found != 1


STRICT = "strict source checks drop segments of hosts and servers"
REDIRECTS = "hosts are told to go round an MCP that forwards out of the interface it came in by"

SYSCTLS: tuple[Setting, ...] = (
    Setting("net.mptcp.enabled", "1", "the kernel opens and takes no MPTCP"),
    Setting(
        "net.mptcp.close_timeout", "4", "a session all of whose subflows died lives on so long", operator.le
    ),
    Setting(  # a host has the same time-out (docs/design/measured.rst, lost first SYNs)
        "net.mptcp.blackhole_timeout", "0", "one server that drops MPTCP turns MPTCP off towards all"
    ),
    Setting("net.ipv4.ip_forward", "1", "what is not intercepted is dropped", version=4),
    Setting("net.ipv6.conf.all.forwarding", "1", "what is not intercepted is dropped", version=6),
    Setting(f"{INTERFACES}.all.rp_filter", "0", STRICT, _not_strict, version=4),
    Setting(f"{INTERFACES}.default.rp_filter", "0", STRICT, _not_strict, version=4),
    Setting(f"{INTERFACES}.all.send_redirects", "0", REDIRECTS, version=4),
    Setting("net.ipv4.tcp_fwmark_accept", "0", "answers to what TPROXY took come back to this machine"),
    Setting(
        "net.ipv4.tcp_tw_reuse", "1", "the server leg reuses the host's port and would wait for TIME_WAIT"
    ),
    Setting(
        "net.ipv4.tcp_syncookies",
        "0",
        "a cookie leaves no request socket, so a handshake's end finds no relay",
    ),
    Setting("net.ipv4.tcp_max_syn_backlog", "8192", "a burst of connections is dropped", operator.ge),
    Setting("net.core.somaxconn", "8192", "a burst of connections is dropped", operator.ge),
    Setting(  # it concerns both IP versions
        "net.ipv4.tcp_mtu_probing",
        "1",
        "a path that drops large packets and does not say so stalls a connection for good",
        operator.ge,
    ),
    Setting("net.ipv4.tcp_fastopen", "3", "a destination that comes with the SYN is not read", operator.ge),
)

PER_INTERFACE: tuple[Setting, ...] = (
    Setting("rp_filter", "0", STRICT, _not_strict),
    Setting("send_redirects", "0", REDIRECTS),
)
"""Settings of each interface. The kernel uses the larger one of the values of `all` and of the interface."""


def settings(options: RelayOptions) -> tuple[Setting, ...]:
    """The settings that a relay with these options needs, without those of interfaces."""
    joining = Setting(
        C_FLAG,
        "0" if options.c_flag else "1",
        "hosts are not asked to join by the MCP's own address" if options.c_flag else "hosts may not join",
    )
    agent = Setting(PM_TYPE, "1", "the controller's wishes reach no subflow")
    return (*SYSCTLS, joining, *((agent,) if options.agent else ()))


def of_interface(setting: Setting, interface: str) -> Setting:
    """A setting of PER_INTERFACE with the full name for an interface."""
    return setting._replace(name=f"{INTERFACES}.{interface}.{setting.name}", version=4)


def path_of(name: str) -> Path:
    """The path of a sysctl. The name of an interface may contain dots."""
    if name.startswith(f"{INTERFACES}."):
        interface, _, last = name.removeprefix(f"{INTERFACES}.").rpartition(".")
        return PROC.joinpath(*INTERFACES.split("."), interface, last)
    return PROC.joinpath(*name.split("."))


def apply(options: RelayOptions) -> None:
    """Write the settings that are not good yet, so that larger limits of others are not lowered. They stay after the
    relay has ended, so that a machine which forwards goes on to forward. Raises RuleError."""
    for setting in settings(options):
        _hold(setting, setting.path)
    for setting in PER_INTERFACE:
        for path in path_of(INTERFACES).glob(f"*/{setting.name}"):
            _hold(setting, path)


def script(options: RelayOptions) -> str:
    """The settings as shell lines."""
    lines = [f"sysctl -qw {setting.name}={setting.value}" for setting in settings(options)]
    lines += [
        f'for f in {path_of(INTERFACES)}/*/{setting.name}; do echo {setting.value} > "$f"; done'
        for setting in PER_INTERFACE
    ]
    return "\n".join(lines)


def return_path_manager(options: RelayOptions) -> None:
    """Have the kernel's own path manager accept joins again, as there is no agent any more. Raises RuleError."""
    if options.agent:
        _write(path_of(PM_TYPE), "0")


def _hold(setting: Setting, path: Path) -> None:
    try:
        if setting.holds(path.read_text().strip()):
            return
    except OSError:
        pass  # the following write reports the error
    _write(path, setting.value)


def _write(path: Path, value: str) -> None:
    try:
        path.write_text(value)
    except OSError as error:
        raise RuleError(f"cannot set {path} to {value}: {error.strerror}") from None
