"""What this machine must have before a lab can start, and what a report says about the machine."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

PROGRAMS = {
    "mnexec": "mininet",
    "ovs-vsctl": "openvswitch-switch",
    "ovs-ofctl": "openvswitch-switch",
    "ip": "iproute2",
    "tc": "iproute2",
    "ss": "iproute2",
    "nft": "nftables",
    "tcpdump": "tcpdump",
    "tshark": "tshark",
    "ethtool": "ethtool",
}
OVS_CTL = Path("/usr/share/openvswitch/scripts/ovs-ctl")


class NotReady(RuntimeError):
    """This machine cannot run a lab. The text is one line that says what to do; the exit status is 2."""


def require() -> None:
    """Raises NotReady unless this is root on a kernel with MPTCP, with Mininet and a running Open vSwitch."""
    if os.geteuid() != 0:
        raise NotReady("labs need root (network namespaces, Open vSwitch): run with sudo")
    if not Path("/proc/sys/net/mptcp/enabled").exists():
        raise NotReady("this kernel has no MPTCP (net.mptcp is missing): boot one built with CONFIG_MPTCP")
    require_mininet()
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            raise NotReady(f"the program '{program}' is missing: apt-get install {package}")
    if not _switch_daemon_answers():
        _start_switch_daemon()


def require_mininet() -> None:
    """Raises NotReady unless this Python has Mininet."""
    if find_spec("mininet") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise NotReady(
            f"Mininet is not there for Python {version}: apt-get install mininet, and use a virtual "
            "environment made with --system-site-packages"
        )


def _switch_daemon_answers() -> bool:
    asked = subprocess.run(["ovs-vsctl", "-t", "3", "show"], capture_output=True, check=False)
    alive = subprocess.run(["ovs-appctl", "-t", "ovs-vswitchd", "version"], capture_output=True, check=False)
    return asked.returncode == 0 and alive.returncode == 0


def _start_switch_daemon() -> None:
    if OVS_CTL.exists():
        subprocess.run([str(OVS_CTL), "start", "--system-id=random"], capture_output=True, check=False)
    if not _switch_daemon_answers():
        raise NotReady(f"Open vSwitch does not answer: start it with {OVS_CTL} start --system-id=random")
