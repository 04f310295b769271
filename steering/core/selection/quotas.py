"""Concurrent limits by subscriber, server, application and MCP: counting, and the least limit that applies.

Requirements D-6.3f, D-6.4i, N-7.2b; the effective limit is the minimum over all that match (T-9), and a
refusal names the key that was full.
"""

from heapq import nlargest
from ipaddress import ip_address
from typing import NamedTuple

from steering.core.selection.rulebook import RuleMatch
from steering.model.ids import McpId
from steering.model.limit import FullLimit, Limit
from steering.model.policy import Policy, Quotas

Key = tuple[str, bytes | str | int]

LIMITED = (
    ("subscriber", "sessions_per_subscriber"),
    ("server", "sessions_per_server"),
    ("application", "sessions_per_application"),
    ("mcp", "sessions_per_mcp"),
)


class Allowance(NamedTuple):
    """The limits in effect for one (rule, subscriber, application): of each kind the least that applies."""

    subflows: Limit
    by_key: tuple[Limit | None, ...]  # in the order of LIMITED
    limited: tuple[tuple[int, Limit], ...]  # those that are limits, with their place in LIMITED


def allowance(policy: Policy, answer: RuleMatch) -> Allowance:
    """What limits a connection: policy, rule, class, subscriber and application, the least of each."""
    sources: list[tuple[str, Quotas]] = [("policy", policy.quotas)]
    if answer.rule is not None:
        sources.append((f"rule {answer.rule.name}", answer.terms.quotas))
    if answer.subscriber is not None:
        klass = next((c for c in policy.classes if c.name == answer.subscriber.klass), None)
        if klass is not None:
            sources.append((f"class {klass.name}", klass.quotas))
        sources.append((f"subscriber {answer.subscriber.id}", answer.subscriber.quotas))
    if answer.application is not None:
        sources.append((f"application {answer.application.name}", answer.application.quotas))
    bound = Limit(policy.limits.subflows_per_session, "limits")
    subflows = _least(sources, "subflows_per_session")
    by_key = tuple(_least(sources, name) for _, name in LIMITED)
    limited = tuple((place, limit) for place, limit in enumerate(by_key) if limit is not None)
    return Allowance(min(bound, subflows) if subflows else bound, by_key, limited)


def _least(sources: list[tuple[str, Quotas]], name: str) -> Limit | None:
    found = [Limit(most, source) for source, q in sources if (most := getattr(q, name)) is not None]
    return min(found) if found else None


def session_keys(answer: RuleMatch, client: bytes, server: bytes, port: int, mcp: McpId) -> tuple[Key, ...]:
    """The keys that a session counts towards, in the order of the limits. A client that is not registered is its
    own subscriber: an IPv4 address, or an IPv6 /64, which one host may fill with addresses."""
    who: bytes | str = (
        answer.subscriber.id if answer.subscriber else (client if len(client) == 4 else client[:8])
    )
    return (
        ("subscriber", who),
        ("server", server + port.to_bytes(2, "big")),
        ("application", answer.application.name) if answer.application else _NO_APPLICATION,
        _MCP_KEYS.get(mcp) or _MCP_KEYS.setdefault(mcp, ("mcp", mcp)),
    )


# Shared, as every session has one; MCP ids are 16 bits, so there is an end to them.
_NO_APPLICATION: Key = ("application", "")
_MCP_KEYS: dict[int, Key] = {}


class Ledger:
    """How many sessions count towards each key now. A key that no session counts towards is not kept."""

    def __init__(self) -> None:
        self._counts: dict[Key, int] = {}

    def full(self, allowed: Allowance, keys: tuple[Key, ...]) -> FullLimit | None:
        """The first key with no room for one more."""
        counts = self._counts
        for place, limit in allowed.limited:
            if counts.get(keys[place], 0) >= limit.most:
                return FullLimit(keys[place][0], _name(keys[place]), limit)
        return None

    def take(self, keys: tuple[Key, ...]) -> None:
        counts = self._counts
        for key in keys:
            counts[key] = counts.get(key, 0) + 1

    def give_back(self, keys: tuple[Key, ...]) -> None:
        for key in keys:
            left = self._counts.get(key, 0) - 1
            if left > 0:
                self._counts[key] = left
            else:
                self._counts.pop(key, None)

    def count(self, key: Key) -> int:
        return self._counts.get(key, 0)

    def busiest(self, most: int) -> list[tuple[str, str, int]]:
        """(kind, name, sessions) of the `most` keys that count the most, those first."""
        found = nlargest(most, self._counts.items(), key=lambda item: item[1])
        return [(key[0], _name(key), count) for key, count in found if key[1] != ""]


def _name(key: Key) -> str:
    """A key as an operator reads it: a server as address and port. A client that is not registered is not named
    more closely, because the northbound shows subscribers by pseudonym."""
    kind, value = key
    if not isinstance(value, bytes):
        return str(value)
    if kind != "server":
        return value.hex()
    address, port = ip_address(value[:-2]), int.from_bytes(value[-2:], "big")
    return f"{address}:{port}" if address.version == 4 else f"[{address}]:{port}"
