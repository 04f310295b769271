"""Connections the relay closed in order and the kernel is still delivering.

They need the rules for as long as they last: without them the hosts' acknowledgements would be forwarded to the server
instead of reaching the MCP's sockets, and the tail of a transfer would hang.
"""

import time
from collections.abc import Callable
from pathlib import Path

TABLES = (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6"))
_DONE = frozenset(("05", "06", "07", "0A"))
"""States in which nothing of ours waits for an acknowledgement: FIN_WAIT2, TIME_WAIT, CLOSE, LISTEN."""

POLL_S = 0.02


def count_unfinished(table: str, serves: Callable[[int], bool]) -> int:
    """Connections of /proc/net/tcp text that have a port which `serves` at either end, and something to deliver."""
    found = 0
    for line in table.splitlines()[1:]:
        words = line.split()
        if len(words) < 4 or words[3] in _DONE:
            continue
        found += any(serves(int(word.rpartition(":")[2], 16)) for word in words[1:3])
    return found


def wait_finished(serves: Callable[[int], bool], seconds: float) -> bool:
    """Whether all such connections ended within `seconds`. Blocks; for a relay that has stopped serving."""
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
