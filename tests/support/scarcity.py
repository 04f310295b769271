"""A process that has no file descriptor left for a while, or none of a small number."""

import fcntl
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager

FD_SETSIZE = 1024  # of Linux


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Every number below the limit is in use: whatever would open a file gets EMFILE."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextmanager
def above_select(sock: socket.socket) -> Iterator[socket.socket]:
    """The same socket by a number that select(2) cannot take, as the next one of a process with a thousand files has it."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], 2 * FD_SETSIZE), before[1]))
    try:
        with socket.socket(fileno=fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD_CLOEXEC, FD_SETSIZE)) as high:
            yield high
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
