"""What this controller knows of other controllers' tokens: just enough to find the owner of a join.

A token costs at most 140 bytes: a dictionary entry, the token, and one integer with the MCP and a fingerprint of the
server. A token alone does not prove that a join belongs to its session (core.sessions.token_owners). Therefore the join's
destination has to fit, too.
"""

from collections.abc import Callable, Collection, Iterable

from steering.wire.peer_messages import TokenEntry

ANYWHERE = (b"\0\0\0\0", 0)  # the server of a session that was read back without its initial subflow
DRAINED = 20_000  # tokens of dropped replicas that are freed in one tick
MOST = 4_000_000  # most sessions of one controller
SAME = 8  # most sessions of one controller with the same token: more than chance ever brings
FORGOTTEN = 8  # most dropped replicas of one controller that wait to be freed

_PLACE = 44  # bits of a fingerprint
# A prime. Another server has the same fingerprint with a probability of 2^-44.
_MODULUS: int = 2**_PLACE - 17
_PLACES = 2**_PLACE - 1
_MASK = 2**64 - 1

Facts = int | tuple[int, ...]  # of one token: the `facts_of` of each session that has the token


def facts_of(mcp: int, server: bytes, port: int) -> int:
    """The MCP and the fingerprint of a server, in one number of 60 bits. Its Python object takes 32 bytes."""
    place: int = (int.from_bytes(server, "big") << 16 | port) % _MODULUS
    return mcp << _PLACE | place


_ANYWHERE = facts_of(0, *ANYWHERE)


class TokenSum:
    """The number of tokens, and a sum over them. If two sums are equal, almost certainly they are of the same tokens. The
    order in which tokens came and ended makes no difference."""

    __slots__ = ("_sum", "tokens")

    def __init__(self) -> None:
        self.tokens = 0
        self._sum = 0

    def add(self, token: int, facts: int) -> None:
        self.tokens += 1
        self._sum += token * facts

    def add_all(self, tokens: int, total: int) -> None:
        """Add several tokens at once. `total`: the sum of token * facts."""
        self.tokens += tokens
        self._sum += total

    def take(self, token: int, facts: int) -> None:
        self.tokens -= 1
        self._sum -= token * facts

    @property
    def digest(self) -> int:
        """The whole sum, folded into 8 bytes."""
        return (self._sum ^ self._sum >> 61) & _MASK


class TokenReplica:
    """The tokens of one other controller."""

    def __init__(self) -> None:
        self.sum = TokenSum()
        self.facts: dict[int, Facts] = {}
        self.is_whole = False  # the other controller has sent all of its tokens

    def add(self, entries: Collection[TokenEntry]) -> int:
        """Add sessions of the other controller. Returns the number of sessions without room."""
        if self.sum.tokens + len(entries) > MOST:
            return len(entries)
        left_out = 0
        known, total, number = self.facts.setdefault, 0, int.from_bytes
        # Function calls are avoided here: every controller runs this for every session of all others.
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
        """Remove sessions of the other controller that are over. Returns the number of unknown sessions."""
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
    """The tokens of all other controllers. For negative controls: with `checks` False the destination need not fit, with
    `knows` False no owner is found."""

    def __init__(self, checks: bool = True, knows: bool = True) -> None:
        self.of: dict[str, TokenReplica] = {}
        self._checks = checks
        self._knows = knows
        # Dropped replicas with the names of their controllers. They are freed in portions, because a million tokens take a
        # tenth of a second.
        self._over: list[tuple[str, dict[int, Facts]]] = []

    def may_begin(self, name: str) -> bool:
        """Whether a controller may send a whole replica. False while much of its dropped replicas is not freed yet."""
        sizes = [len(facts) for owner, facts in self._over if owner == name]
        return len(sizes) < FORGOTTEN and sum(sizes) < MOST

    def begin(self, name: str) -> TokenReplica:
        """Begin a new replica of a controller, which now sends all of its tokens. The old replica is dropped."""
        self.forget(name)
        replica = self.of[name] = TokenReplica()
        return replica

    def forget(self, name: str) -> None:
        """Drop the replica of a controller."""
        replica = self.of.pop(name, None)
        if replica is not None and replica.facts:
            self._over.append((name, replica.facts))

    def drain(self) -> None:
        """Free a portion of the dropped replicas."""
        left = DRAINED
        while self._over and left:
            _, facts = self._over[-1]
            while facts and left:
                facts.popitem()
                left -= 1
            if not facts:
                self._over.pop()

    def owners(self, token: int, server: bytes, port: int, mcp: int | None = None) -> list[str]:
        """The controllers with a session to which a join with this token and destination may belong. `mcp`: if the
        destination is an MCP's address, the MCP's id, or 0 if several MCPs have the address. None for other
        destinations."""
        found = []
        for name, replica in self.of.items() if self._knows else ():
            facts = replica.facts.get(token)
            if facts is not None and (not self._checks or self._fits(facts, server, port, mcp)):
                found.append(name)
        return found

    def holders(self, token: int) -> list[str]:
        """The controllers that have a session with this token, to any destination."""
        return [name for name, replica in self.of.items() if token in replica.facts]

    def _fits(self, facts: Facts, server: bytes, port: int, mcp: int | None) -> bool:
        fits: Callable[[int], bool]
        if mcp is None:
            place = facts_of(0, server, port)
            fits = lambda one: one & _PLACES in (place, _ANYWHERE)  # noqa: E731
        else:
            fits = lambda one: not mcp or one >> _PLACE == mcp  # noqa: E731
        return any(map(fits, facts)) if isinstance(facts, tuple) else fits(facts)
