"""Sends a whole replica of this controller's tokens to another controller, in portions."""

from collections.abc import Iterator

from steering.wire.peer_messages import TokenEntry

TOKENS = 512  # most tokens in one message


class PeerSync:
    """The sending of a whole replica to one controller. `left`: numbers of the sessions that were not sent yet, the highest
    first. They are sent from the end of the list."""

    __slots__ = ("end", "left")

    def __init__(self, numbers: list[int]) -> None:
        self.left = numbers
        self.end = numbers[0] if numbers else 0

    def is_ahead(self, number: int) -> bool:
        """Whether a session is among those that were not sent yet."""
        return bool(self.left) and self.left[-1] <= number <= self.end


def parts_of(entries: list[TokenEntry]) -> Iterator[tuple[TokenEntry, ...]]:
    """The entries in portions of at most TOKENS, each of one address family."""
    for length in (4, 16):
        of_family = [one for one in entries if len(one.server) == length]
        for at in range(0, len(of_family), TOKENS):
            yield tuple(of_family[at : at + TOKENS])
