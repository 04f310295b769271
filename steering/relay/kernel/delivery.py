"""Connections that the relay has closed in order, and for which the kernel still delivers data.

They need the relay's rules until they end. Without the rules, the hosts' acknowledgements would be forwarded to the
server and not reach the MCP's sockets, and the end of a transfer would hang.
"""

import time
from collections.abc import Callable
from pathlib import Path

TABLES = (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6"))
_DONE = frozenset(("05", "06", "07", "0A"))
"""States in which no data of ours wait for an acknowledgement: FIN_WAIT2, TIME_WAIT, CLOSE, LISTEN."""

POLL_S = 0.02


def count_unfinished(table: str, serves: Callable[[int], bool]) -> int:
    """How many connections in the text of /proc/net/tcp still deliver data, and have at either end a port for which
    `serves` is true."""
    found = 0
    for line in table.splitlines()[1:]:
        words = line.split()
        if len(words) < 4 or words[3] in _DONE:
            continue
        found += any(serves(int(word.rpartition(":")[2], 16)) for word in words[1:3])
    return found


def wait_finished(serves: Callable[[int], bool], seconds: float) -> bool:
    """Wait until all such connections have ended, `seconds` at most; whether they have. It blocks, so it is for a
    relay that has stopped serving."""
    until = time.monotonic() + seconds
    while True:
        left = 0
        for path in TABLES:
            try:
                left += count_unfinished(path.read_text(), serves)
            except OSError:
                continue
        if not left:
            return True
        if time.monotonic() >= until:
            return False
        time.sleep(POLL_S)
