"""Limits of concurrent sessions by subscriber, server, application and MCP (D-6.3f, D-6.4i, N-7.2b).

If several limits apply, the least counts (T-9). A refusal names the subscriber, server, application or MCP that was full.
"""

from collections.abc import Iterator, Mapping, MutableMapping
from heapq import nlargest
from ipaddress import ip_address
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

from steering.core.selection.rulebook import RuleMatch
from steering.model.ids import McpId
from steering.model.limit import FullLimit, Limit
from steering.model.policy import Policy, Quotas

_new = tuple.__new__  # makes a NamedTuple without the call of its constructor
KEYS_EACH = 20_000  # most keys in one dictionary of ManyCounts, as long as there are no more than expected
K = TypeVar("K")
LIMITED = (
    ("subscriber", "sessions_per_subscriber"),
    ("server", "sessions_per_server"),
    ("application", "sessions_per_application"),
    ("mcp", "sessions_per_mcp"),
)


class Allowance(NamedTuple):
    """The limits in effect for one combination of rule, subscriber and application: the least of each kind."""

    subflows: Limit
    by_key: tuple[Limit | None, ...]  # in the order of LIMITED
    limited: tuple[tuple[int, Limit], ...]  # those of `by_key` that are not None, with their index in LIMITED


def allowance(policy: Policy, answer: RuleMatch) -> Allowance:
    """The limits of a connection: the least of each kind that policy, rule, class, subscriber and application set."""
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


def limits_of(policy: Policy) -> frozenset[tuple[int, int]]:
    """All limits of sessions in a policy: index in LIMITED, and most sessions."""
    given = {
        policy.quotas,
        *(rule.then.quotas for rule in policy.rules),
        *(one.quotas for one in policy.classes),
    }
    given |= {one.quotas for one in policy.subscribers} | {one.quotas for one in policy.applications}
    found = ((place, getattr(quotas, name)) for quotas in given for place, (_, name) in enumerate(LIMITED))
    return frozenset((place, most) for place, most in found if most is not None)


class QuotaKeys(NamedTuple):
    """The keys towards which a session counts, in the order of LIMITED."""

    subscriber: bytes | str  # the subscriber's id; for an unlisted client its origin (SiteMap.origin_of)
    server: bytes  # address and port
    application: str  # "" for none
    mcp: McpId


def quota_keys(who: bytes | str, application: str, server: bytes, port: int, mcp: McpId) -> QuotaKeys:
    """The keys towards which a session counts.

    `who`: the subscriber's id. For a client that the policy does not list it is the client's origin (SiteMap.origin_of). This
    also holds if an authoriser gave the client a class, so that sessions read back after a restart count by the same key.
    """
    return _new(QuotaKeys, (who, server + port.to_bytes(2, "big"), application, mcp))


class ManyCounts(MutableMapping[K, int]):
    """Counts by key, in many dictionaries, so that none becomes so large that its growth delays a SYN
    (core.sessions.indexes). `most`: the expected number of keys. More are possible."""

    __slots__ = ("_shards", "_size")

    def __init__(self, most: int) -> None:
        self._size = max(1, most // KEYS_EACH)
        self._shards: tuple[dict[K, int], ...] = tuple({} for _ in range(self._size))

    def add(self, key: K) -> None:
        """Count `key` once more."""
        counts = self._shards[hash(key) % self._size]
        counts[key] = counts.get(key, 0) + 1

    @property
    def shards(self) -> tuple[Mapping[K, int], ...]:
        """All counts, in dictionaries that are small enough to be searched in a moment."""
        return self._shards

    def get(self, key: K, default: Any = None) -> Any:
        # Overridden, because Mapping.get raises and catches KeyError for each key without a count, the usual case here.
        return self._shards[hash(key) % self._size].get(key, default)

    def __getitem__(self, key: K) -> int:
        return self._shards[hash(key) % self._size][key]

    def __setitem__(self, key: K, count: int) -> None:
        self._shards[hash(key) % self._size][key] = count

    def __delitem__(self, key: K) -> None:
        del self._shards[hash(key) % self._size][key]

    def __iter__(self) -> Iterator[K]:
        return chain.from_iterable(self._shards)

    def __len__(self) -> int:
        return sum(map(len, self._shards))


class Ledger:
    """How many sessions count towards each key now. Keys without sessions are not kept.

    `most`: the most sessions. Each may have a subscriber and a server of its own. `is_sure`: whether a full key is
    really full. If several controllers share limits, this is unknown for a moment while limits are divided.
    """

    is_sure = True

    def __init__(self, most: int = 1) -> None:
        self._subscribers: ManyCounts[bytes | str] = ManyCounts(most)
        self._servers: ManyCounts[bytes] = ManyCounts(most)
        self._applications: dict[str, int] = {}
        self._mcps: dict[McpId, int] = {}
        # In the order of LIMITED.
        self._counts: tuple[MutableMapping[Any, int], ...] = (
            self._subscribers, self._servers, self._applications, self._mcps,
        )  # fmt: skip

    def full(self, allowed: Allowance, keys: QuotaKeys) -> FullLimit | None:
        """The limit of the first key that has no room for one more session, else None."""
        for place, limit in allowed.limited:
            if self._counts[place].get(keys[place], 0) >= limit.most:
                return full_limit(place, keys[place], limit)
        return None

    def count(self, place: int, key: bytes | str | int) -> int:
        """How many sessions count towards one key."""
        return self._counts[place].get(key, 0)

    def take(self, keys: QuotaKeys) -> None:
        """One more session counts towards these keys."""
        # Written without a loop, which takes twice as long: this runs for every session.
        subscribers, servers, applications, mcps = (
            self._subscribers,
            self._servers,
            self._applications,
            self._mcps,
        )
        subscriber, server, application, mcp = keys
        subscribers.add(subscriber)
        servers.add(server)
        applications[application] = applications.get(application, 0) + 1
        mcps[mcp] = mcps.get(mcp, 0) + 1

    def found(self, keys: QuotaKeys) -> None:
        """As `take`, for a session that exists already and was found. No limit was checked for it."""
        self.take(keys)

    def give_back(self, keys: QuotaKeys) -> None:
        """One session less counts towards these keys."""
        for counts, key in zip(self._counts, keys, strict=True):
            left = counts.get(key, 0) - 1
            if left > 0:
                counts[key] = left
            else:
                counts.pop(key, None)

    def above(self, place: int, least: int) -> Iterator[tuple[int, list[tuple[Any, int]]]]:
        """The keys with more than `least` sessions, of the kind at index `place` of LIMITED, in portions. Each portion is the number of keys
        that were examined, and the keys with their counts."""
        counts = self._counts[place]
        for some in counts.shards if isinstance(counts, ManyCounts) else (counts,):
            yield len(some), [(key, count) for key, count in some.items() if count > least]

    def __iter__(self) -> Iterator[tuple[str, bytes | str | int, int]]:
        """Kind, key and number of sessions of every key."""
        for (kind, _), counts in zip(LIMITED, self._counts, strict=True):
            for key, count in counts.items():
                yield kind, key, count

    def busiest(self, most: int) -> list[tuple[str, str, int]]:
        """Kind, name and number of sessions of the `most` keys with the most sessions, the greatest first."""
        found = nlargest(most, self, key=itemgetter(2))
        return [(kind, _name(kind, key), count) for kind, key, count in found if key != ""]


def full_limit(place: int, key: bytes | str | int, limit: Limit) -> FullLimit:
    """The record of a reached limit: `key` of kind LIMITED[place] has no room."""
    kind = LIMITED[place][0]
    return FullLimit(kind, _name(kind, key), limit)


def _name(kind: str, value: bytes | str | int) -> str:
    """A key as text: a server as address and port, the address of an unlisted client in hex. The northbound shows
    subscribers by pseudonym."""
    if not isinstance(value, bytes):
        return str(value)
    if kind != "server":
        return value.hex()
    address, port = ip_address(value[:-2]), int.from_bytes(value[-2:], "big")
    return f"{address}:{port}" if address.version == 4 else f"[{address}]:{port}"
