"""A whole replica on its way to another controller, in portions."""

from collections.abc import Iterator

from steering.wire.peer_messages import TokenEntry

TOKENS = 512  # told in one message


class PeerSync:
    """A whole replica on its way to one controller. `left`: numbers of sessions that are not told yet, the last first."""

    __slots__ = ("end", "left")

    def __init__(self, numbers: list[int]) -> None:
        self.left = numbers
        self.end = numbers[0] if numbers else 0

    def is_ahead(self, number: int) -> bool:
        """Whether a session is among those that are not told yet."""
        return bool(self.left) and self.left[-1] <= number <= self.end


def parts_of(entries: list[TokenEntry]) -> Iterator[tuple[TokenEntry, ...]]:
    """Portions of one address family each."""
    for length in (4, 16):
        of_family = [one for one in entries if len(one.server) == length]
        for at in range(0, len(of_family), TOKENS):
            yield tuple(of_family[at : at + TOKENS])
