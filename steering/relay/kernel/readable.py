"""Waits for a few descriptors in a thread of its own, apart from the relay's loop.

Unlike select(2) it takes a descriptor of any number. A relay with some five hundred sessions has all below 1,024 in use, so
that whatever is opened then, such as a connection to a controller that is back, has a higher one.
"""

import select
from collections.abc import Iterable
from math import ceil
from typing import Protocol, TypeVar


class HasDescriptor(Protocol):
    def fileno(self) -> int: ...


Watched = TypeVar("Watched", bound=int | HasDescriptor)


def readable(watched: Iterable[Watched], seconds: float) -> list[Watched]:
    """Those that have something to read, or have ended, as soon as there is one; none after `seconds`."""
    by_number = {one if isinstance(one, int) else one.fileno(): one for one in watched}
    poll = select.poll()
    for number in by_number:
        poll.register(number, select.POLLIN)
    return [by_number[number] for number, _ in poll.poll(ceil(1000 * max(0.0, seconds)))]
