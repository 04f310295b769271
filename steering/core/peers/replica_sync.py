"""Sends a whole replica of this controller's tokens to another controller, in portions."""

from collections.abc import Iterator

from steering.wire.peer_messages import TokenEntry

TOKENS = 512  # most tokens in one message


class PeerSync:
    """The sending of a whole replica to one controller. Sessions with numbers up to `sent` were sent, those up to `end` have
    to be. Sessions that began later are sent by themselves."""

    __slots__ = ("end", "sent")

    def __init__(self, end: int) -> None:
        self.sent, self.end = 0, end

    def is_ahead(self, number: int) -> bool:
        """Whether a session is among those that were not sent yet."""
        return self.sent < number <= self.end


def parts_of(entries: list[TokenEntry]) -> Iterator[tuple[TokenEntry, ...]]:
    """The entries in portions of at most TOKENS, each of one address family."""
    for length in (4, 16):
        of_family = [one for one in entries if len(one.server) == length]
        for at in range(0, len(of_family), TOKENS):
            yield tuple(of_family[at : at + TOKENS])
