"""Gives `steering doctor` access to this machine: kernel settings, commands, the clock, and whether servers answer."""

import ctypes
import resource
import shutil
import socket
from typing import Protocol

from steering.relay.kernel.commands import RuleError, command
from steering.relay.kernel.sysctls import path_of

PATIENCE = 3.0  # seconds that a server has to answer
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_BYTES = 208


class ExaminedMachine(Protocol):
    """A machine that `steering doctor` can examine."""

    def setting(self, name: str) -> str | None:
        """The value of a sysctl such as `net.mptcp.enabled`; None where the kernel has no such sysctl."""

    def run(self, line: str) -> str | None:
        """The output of a command; None where the command fails or does not exist."""

    def has(self, program: str) -> bool:
        """Whether a program is installed."""

    def synchronised(self) -> bool | None:
        """Whether the clock is synchronised; None where the kernel does not tell."""

    def connects(self, host: str, port: int) -> str:
        """Why no TCP connection to the server could be opened; empty where one was opened."""

    def descriptors(self) -> int:
        """How many files a process may have open at most."""


class LocalMachine:
    """The machine on which this program runs."""

    def setting(self, name: str) -> str | None:
        try:
            return path_of(name).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return None

    def run(self, line: str) -> str | None:
        try:
            return command(line, must=False)
        except RuleError:
            return None

    def has(self, program: str) -> bool:
        return (
            shutil.which(program, path="/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin")
            is not None
        )

    def synchronised(self) -> bool | None:
        try:
            # A buffer of zeros asks for nothing to be changed.
            state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES * 2))
        except (OSError, AttributeError):
            return None
        return None if state < 0 else state != _TIME_ERROR

    def connects(self, host: str, port: int) -> str:
        try:
            socket.create_connection((host, port), timeout=PATIENCE).close()
        except TimeoutError:
            return f"nobody answers within {PATIENCE:g} s"
        except OSError as error:
            return error.strerror or str(error)
        except UnicodeError:
            return "that is no name of a machine"
        return ""

    def descriptors(self) -> int:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        return 1 << 30 if hard == resource.RLIM_INFINITY else hard
