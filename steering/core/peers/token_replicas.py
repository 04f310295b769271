"""What this controller knows of other controllers' tokens: enough to find the owner of a join, and no more.

A token costs at most 140 bytes: a dict's entry, the token, and one whole number that holds the MCP and a fingerprint of the
server. One owner found is no proof that a join is of it (core.sessions.token_owners), so the destination has to fit as well.
"""

from collections.abc import Callable, Collection, Iterable

from steering.wire.peer_messages import TokenEntry

ANYWHERE = (b"\0\0\0\0", 0)  # the server of a session that was read back without its initial subflow
DRAINED = 20_000  # tokens of a controller that is gone which are let go at a time
MOST = 4_000_000  # sessions of one controller
SAME = 8  # of them that have one token: more than chance would ever bring
FORGOTTEN = 8  # replicas of one controller that are being let go

_PLACE = 44  # bits of a fingerprint
_MODULUS: int = (
    2**_PLACE - 17
)  # prime: whoever does not know the server meets its fingerprint once in 2^44 tries
_PLACES = 2**_PLACE - 1
_MASK = 2**64 - 1

Facts = int | tuple[int, ...]  # of one token: MCP and fingerprint, of each session that has it


def facts_of(mcp: int, server: bytes, port: int) -> int:
    """MCP and fingerprint of a server in one number of 60 bits, which is 32 bytes long."""
    place: int = (int.from_bytes(server, "big") << 16 | port) % _MODULUS
    return mcp << _PLACE | place


_ANYWHERE = facts_of(0, *ANYWHERE)


class TokenSum:
    """How many tokens there are and a sum of them all: two that are equal are, as good as surely, of the same tokens. The
    order in which tokens came and went makes no difference."""

    __slots__ = ("_sum", "tokens")

    def __init__(self) -> None:
        self.tokens = 0
        self._sum = 0

    def add(self, token: int, facts: int) -> None:
        self.tokens += 1
        self._sum += token * facts

    def add_all(self, tokens: int, total: int) -> None:
        """So many at once; `total`: the sum of their products."""
        self.tokens += tokens
        self._sum += total

    def take(self, token: int, facts: int) -> None:
        self.tokens -= 1
        self._sum -= token * facts

    @property
    def digest(self) -> int:
        """8 bytes, into which all of the sum is folded."""
        return (self._sum ^ self._sum >> 61) & _MASK


class TokenReplica:
    """The tokens of one other controller."""

    def __init__(self) -> None:
        self.sum = TokenSum()
        self.facts: dict[int, Facts] = {}
        self.is_whole = False  # all that it had is told

    def add(self, entries: Collection[TokenEntry]) -> int:
        """Note sessions of the other controller. Returns how many there was no room for."""
        if self.sum.tokens + len(entries) > MOST:
            return len(entries)
        left_out = 0
        known, total, number = self.facts.setdefault, 0, int.from_bytes
        # Without calls of its own: every controller does this for every session of all others.
        for token, mcp, server, port in entries:
            facts = mcp << _PLACE | (number(server, "big") << 16 | port) % _MODULUS
            before = known(token, facts)
            if before is not facts:
                if isinstance(before, tuple) and len(before) >= SAME:
                    left_out += 1
                    continue
                self.facts[token] = (*before, facts) if isinstance(before, tuple) else (before, facts)
            total += token * facts
        self.sum.add_all(len(entries) - left_out, total)
        return left_out

    def remove(self, entries: Iterable[TokenEntry]) -> int:
        """Forget sessions of the other controller, which are over. Returns how many were not known."""
        unknown = 0
        for entry in entries:
            facts = facts_of(entry.mcp, entry.server, entry.port)
            before = self.facts.get(entry.token)
            if before == facts:
                del self.facts[entry.token]
            elif isinstance(before, tuple) and facts in before:
                left = list(before)
                left.remove(facts)
                self.facts[entry.token] = left[0] if len(left) == 1 else tuple(left)
            else:
                unknown += 1
                continue
            self.sum.take(entry.token, facts)
        return unknown


class TokenReplicas:
    """The tokens of all other controllers. For negative controls, `checks`: False believes every token; `knows`: False
    finds no owner."""

    def __init__(self, checks: bool = True, knows: bool = True) -> None:
        self.of: dict[str, TokenReplica] = {}
        self._checks = checks
        self._knows = knows
        # What is to be let go in portions, and whose it was: a million take a tenth of a second.
        self._over: list[tuple[str, dict[int, Facts]]] = []

    def may_begin(self, name: str) -> bool:
        """False while much of what a controller told earlier is not let go yet."""
        sizes = [len(facts) for owner, facts in self._over if owner == name]
        return len(sizes) < FORGOTTEN and sum(sizes) < MOST

    def begin(self, name: str) -> TokenReplica:
        """A controller tells all of its tokens from now on; what it told before counts no more."""
        self.forget(name)
        replica = self.of[name] = TokenReplica()
        return replica

    def forget(self, name: str) -> None:
        """A controller is no member any more, or tells everything again."""
        replica = self.of.pop(name, None)
        if replica is not None and replica.facts:
            self._over.append((name, replica.facts))

    def drain(self) -> None:
        """Let go of a portion of what was forgotten."""
        left = DRAINED
        while self._over and left:
            _, facts = self._over[-1]
            while facts and left:
                facts.popitem()
                left -= 1
            if not facts:
                self._over.pop()

    def owners(self, token: int, server: bytes, port: int, mcp: int | None = None) -> list[str]:
        """The controllers with a session that a join with this token to this destination may be of. `mcp`: where the
        destination is an MCP's address, its id; 0 for an address of several."""
        found = []
        for name, replica in self.of.items() if self._knows else ():
            facts = replica.facts.get(token)
            if facts is not None and (not self._checks or self._fits(facts, server, port, mcp)):
                found.append(name)
        return found

    def holders(self, token: int) -> list[str]:
        """The controllers with a session of this token, whatever its destination is."""
        return [name for name, replica in self.of.items() if token in replica.facts]

    def _fits(self, facts: Facts, server: bytes, port: int, mcp: int | None) -> bool:
        fits: Callable[[int], bool]
        if mcp is None:
            place = facts_of(0, server, port)
            fits = lambda one: one & _PLACES in (place, _ANYWHERE)  # noqa: E731
        else:
            fits = lambda one: not mcp or one >> _PLACE == mcp  # noqa: E731
        return any(map(fits, facts)) if isinstance(facts, tuple) else fits(facts)
