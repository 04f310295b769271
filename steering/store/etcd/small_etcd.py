"""An etcd of one process, in memory: what etcd's JSON gateway answers to the requests of `keys` and `watch`. The parent of several
controllers on one machine has one, so that they need no etcd (docs/cluster.rst).

Every change has a revision of its own, as in etcd. Changes of keys without a lease are first given to `keep`, which may write them to the
disk. If a change cannot be kept, it is refused and changes nothing. A long list is read in pages while others go on writing, so a range can be
read at an older revision. This is possible until the changes since that revision are forgotten. Then it is refused as compacted. Everything is
bounded.
"""

import secrets
import threading
import time
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from steering.store.etcd.gateway_forms import (
    EXHAUSTED,
    INVALID,
    NOT_FOUND,
    OUT_OF_RANGE,
    UNAVAILABLE,
    UNIMPLEMENTED,
    GatewayError,
    Json,
    KeyEvent,
    bytes_in,
    number_in,
    span_in,
    told,
)
from steering.store.interface import StateError, StateRefusal

MOST_OPERATIONS = 128  # operations of one transaction, as etcd's default
MOST_KEY = 1_024  # bytes
MOST_VALUE = 1 << 20  # bytes
MOST_KEYS = 200_000
MOST_STORED = 512 << 20  # bytes of all keys and values
MOST_HISTORY = 32 << 20  # bytes of past changes that a watch may still ask for
MOST_LEASES = 1_024
MOST_SECONDS = 86_400  # the longest lease
# Bytes of values after which a message of a watch ends. The changes of one revision are always in one message.
MOST_MESSAGE = 4 << 20


class StoredKey(NamedTuple):
    """A key's value, the revision that changed it last, and its lease (0: none)."""

    value: bytes
    revision: int
    lease: int


class _Change(NamedTuple):
    """The changes of one revision. `before`: what their keys were, None for one that was not there."""

    revision: int
    events: list[KeyEvent]
    before: list[StoredKey | None]

    @property
    def size(self) -> int:
        return sum(one.size for one in self.events) + sum(len(one.value) for one in self.before if one)


class _Lease:
    """A lease: its length in seconds, its end, and the keys that end with it."""

    def __init__(self, seconds: int, ends: float) -> None:
        self.seconds = seconds
        self.ends = ends
        self.keys: set[bytes] = set()


def _keep_nothing(events: Sequence[KeyEvent]) -> None:
    """Every change is forgotten when the process ends."""


class SmallEtcd:
    """Keys with revisions, leases and watches. Threads may call every method at once. `keep` takes the changes of one revision that
    have no lease before they count, and raises StateError. `now`: seconds, monotonic."""

    def __init__(
        self,
        keep: Callable[[Sequence[KeyEvent]], None] = _keep_nothing,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keep = keep
        self._now = now
        self._cluster = str(secrets.randbits(62))
        self._changed = threading.Condition()
        self._revision = 1
        self._keys: dict[bytes, StoredKey] = {}
        self._names: list[bytes] = []  # of all keys, sorted
        self._stored = 0  # bytes
        self._leases: dict[int, _Lease] = {}
        self._history: deque[_Change] = deque()
        self._history_size = 0  # bytes
        self._compacted = 1  # changes up to this revision are forgotten
        self._calls: dict[str, Callable[[Json], Json]] = {
            "kv/range": self._range,
            "kv/put": self._put,
            "kv/deleterange": self._delete,
            "kv/txn": self._txn,
            "lease/grant": self._grant,
            "lease/keepalive": self._keep_alive,
            "lease/revoke": self._revoke,
        }

    # ---- requests -------------------------------------------------------------------------------

    def load(self, kept: dict[bytes, bytes]) -> None:
        """Take over the keys that an earlier process kept, as they are. Called before any request."""
        with self._changed:
            for key, value in kept.items():
                self._apply(KeyEvent(key, value))

    def call(self, path: str, body: Json) -> Json:
        """The answer to a request such as `kv/range`. Raises GatewayError."""
        take = self._calls.get(path)
        if take is None:
            raise GatewayError(UNIMPLEMENTED, "unknown method")
        with self._changed:
            self._end_leases()
            return {**take(body), "header": self.header()}

    def header(self) -> Json:
        """The header of an answer."""
        return {"cluster_id": self._cluster, "revision": str(self._revision)}

    def get(self, key: str) -> str | None:
        """A key's value; None where there is none."""
        found = self._keys.get(key.encode("ascii"))
        return None if found is None else found.value.decode("ascii", "replace")

    def end_lease_of(self, key: str) -> None:
        """End the lease with which a key was put, if there is one: its owner is known to be gone."""
        with self._changed:
            found = self._keys.get(key.encode("ascii"))
            if found is not None and found.lease:
                self._end_lease(found.lease)

    def expire(self) -> None:
        """End leases that nobody has kept alive. To be called some times a second."""
        with self._changed:
            self._end_leases()

    def events(
        self, begin: bytes, end: bytes, since: int, seconds: float
    ) -> tuple[list[KeyEvent], list[int], int]:
        """Wait for at most `seconds` for changes of keys from `begin` up to before `end`, at the revision `since` or later. Returns
        the changes, the revision of each, and the revision to ask for next. Raises GatewayError with OUT_OF_RANGE where changes
        since then are forgotten."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_news(begin, end, since), seconds)
            if since <= self._compacted:
                raise GatewayError(OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted")
            found: list[KeyEvent] = []
            revisions: list[int] = []
            size = 0
            for revision, events, _ in self._since(since):
                if size > MOST_MESSAGE:
                    return found, revisions, revision
                for event in events:
                    if begin <= event.key < end:
                        found.append(event)
                        revisions.append(revision)
                        size += event.size
            return found, revisions, max(since, self._revision + 1)

    @property
    def compacted(self) -> int:
        """Changes up to this revision are forgotten."""
        return self._compacted

    def _has_news(self, begin: bytes, end: bytes, since: int) -> bool:
        if since <= self._compacted:
            return True
        return any(begin <= event.key < end for one in self._since(since) for event in one.events)

    def _since(self, since: int) -> Iterator[_Change]:
        """Past changes from a revision on. Few are asked for, and they are the newest ones."""
        found = []
        for one in reversed(self._history):
            if one.revision < since:
                break
            found.append(one)
        return reversed(found)

    # ---- keys -----------------------------------------------------------------------------------

    def _range(self, body: Json) -> Json:
        begin, end = span_in(body)
        asked = number_in(body, "revision")
        if asked and asked < self._compacted:
            raise GatewayError(OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted")
        other = self._as_it_was(begin, end, asked) if asked else {}
        names = self._within(begin, end)
        if other:
            names = sorted({*names, *other} - {key for key, kept in other.items() if kept is None})
        limit = number_in(body, "limit") or len(names)
        found = [
            self._told(key, other.get(key) or self._keys[key], body.get("keys_only") is True)
            for key in names[:limit]
        ]
        return {"kvs": found, "more": len(names) > limit, "count": str(len(names))}

    def _as_it_was(self, begin: bytes, end: bytes, revision: int) -> dict[bytes, StoredKey | None]:
        """The keys of a range that have changed since a revision, as they were then; None for one that was not there."""
        found: dict[bytes, StoredKey | None] = {}
        for _, events, before in self._since(revision + 1):
            for event, kept in zip(events, before, strict=True):
                if begin <= event.key < end:
                    found.setdefault(event.key, kept)
        return found

    def _told(self, key: bytes, kept: StoredKey, name_only: bool) -> Json:
        return told(KeyEvent(key, kept.value), kept.revision, name_only)

    def _put(self, body: Json) -> Json:
        self._happen([self._change(body)])
        return {}

    def _delete(self, body: Json) -> Json:
        events = self._deletions(body)
        self._happen(events)
        return {"deleted": str(len(events))}

    def _txn(self, body: Json) -> Json:
        compares, operations = body.get("compare", []), body.get("success", [])
        if not isinstance(compares, list) or not isinstance(operations, list):
            raise GatewayError(INVALID, "a transaction has lists")
        if max(len(compares), len(operations)) > MOST_OPERATIONS:
            raise GatewayError(INVALID, "etcdserver: too many operations in txn request")
        if not all(self._holds(one) for one in compares):
            return {}  # the gateway leaves `succeeded` out where it is false
        puts: dict[bytes, KeyEvent] = {}
        spans: list[Json] = []
        for one in operations:
            if not isinstance(one, dict) or len(one) != 1:
                raise GatewayError(INVALID, "an operation is a put or a deletion")
            ((kind, inner),) = one.items()
            if kind == "request_put" and isinstance(inner, dict):
                event = self._change(inner)
                if event.key in puts:
                    raise GatewayError(INVALID, "etcdserver: duplicate key given in txn request")
                puts[event.key] = event
            elif kind == "request_delete_range" and isinstance(inner, dict):
                spans.append(inner)
            else:
                raise GatewayError(INVALID, "an operation is a put or a deletion")
        deleted: dict[bytes, KeyEvent] = {}
        for span in spans:
            begin, end = span_in(span)
            if any(begin <= key < end for key in puts):
                raise GatewayError(INVALID, "etcdserver: duplicate key given in txn request")
            deleted |= {one.key: one for one in self._deletions(span)}
        self._happen([*puts.values(), *deleted.values()])
        return {"succeeded": True}

    def _holds(self, compare: object) -> bool:
        if (
            not isinstance(compare, dict)
            or compare.get("target") != "MOD"
            or compare.get("result") != "EQUAL"
        ):
            raise GatewayError(UNIMPLEMENTED, "only equal revisions of a change are compared")
        found = self._keys.get(bytes_in(compare, "key"))
        return number_in(compare, "mod_revision") == (0 if found is None else found.revision)

    def _change(self, body: Json) -> KeyEvent:
        """The change that a put asks for. Raises GatewayError for one that is refused."""
        event = KeyEvent(bytes_in(body, "key"), bytes_in(body, "value"), number_in(body, "lease"))
        if not 0 < len(event.key) <= MOST_KEY or len(event.value or b"") > MOST_VALUE:
            raise GatewayError(INVALID, "etcdserver: request is too large")
        if event.lease and event.lease not in self._leases:
            raise GatewayError(NOT_FOUND, "etcdserver: requested lease not found")
        return event

    def _deletions(self, body: Json) -> list[KeyEvent]:
        return [KeyEvent(key, None, self._keys[key].lease) for key in self._within(*span_in(body))]

    def _within(self, begin: bytes, end: bytes) -> list[bytes]:
        """The names of keys from `begin` up to before `end`, sorted."""
        if end == begin + b"\0":
            return [begin] if begin in self._keys else []
        return self._names[bisect_left(self._names, begin) : bisect_left(self._names, end)]

    # ---- leases ---------------------------------------------------------------------------------

    def _grant(self, body: Json) -> Json:
        seconds = number_in(body, "TTL")
        if not 0 < seconds <= MOST_SECONDS:
            raise GatewayError(INVALID, "etcdserver: too large lease TTL")
        if len(self._leases) >= MOST_LEASES:
            raise GatewayError(EXHAUSTED, "etcdserver: too many leases")
        number = secrets.randbits(62) | 1
        self._leases[number] = _Lease(seconds, self._now() + seconds)
        return {"ID": str(number), "TTL": str(seconds)}

    def _keep_alive(self, body: Json) -> Json:
        number = number_in(body, "ID")
        lease = self._leases.get(number)
        if lease is None:
            return {"result": {"ID": str(number)}}  # the gateway leaves TTL out where it is 0
        lease.ends = self._now() + lease.seconds
        return {"result": {"ID": str(number), "TTL": str(lease.seconds)}}

    def _revoke(self, body: Json) -> Json:
        number = number_in(body, "ID")
        if number not in self._leases:
            raise GatewayError(NOT_FOUND, "etcdserver: requested lease not found")
        self._end_lease(number)
        return {}

    def _end_leases(self) -> None:
        now = self._now()
        for number in [number for number, lease in self._leases.items() if lease.ends <= now]:
            self._end_lease(number)

    def _end_lease(self, number: int) -> None:
        keys = sorted(self._leases[number].keys)
        self._happen([KeyEvent(key, None, number) for key in keys])
        del self._leases[number]

    # ---- changes --------------------------------------------------------------------------------

    def _happen(self, events: list[KeyEvent]) -> None:
        """Make the changes of one revision. Raises GatewayError where they cannot be kept; nothing has changed then."""
        if not events:
            return
        new = [one for one in events if one.value is not None]
        keys = len(self._keys) + sum(one.key not in self._keys for one in new)
        stored = self._stored + sum(one.size - self._size_of(one.key) for one in new)
        if new and (keys > MOST_KEYS or stored > MOST_STORED):
            raise GatewayError(EXHAUSTED, "etcdserver: mvcc: database space exceeded")
        lasting = [one for one in events if self._is_kept(one)]
        if lasting:
            try:
                self._keep(lasting)
            except StateError as error:
                code = EXHAUSTED if error.refusal is StateRefusal.NO_SPACE else UNAVAILABLE
                raise GatewayError(code, str(error)) from None
        self._revision += 1
        before = [self._keys.get(event.key) for event in events]
        for event in events:
            self._apply(event)
        self._remember(_Change(self._revision, events, before))
        self._changed.notify_all()

    def _is_kept(self, event: KeyEvent) -> bool:
        """Whether a change is for `keep`: also one by which a key gets a lease that had none."""
        before = self._keys.get(event.key)
        return not event.lease or (before is not None and not before.lease)

    def _size_of(self, key: bytes) -> int:
        """The bytes that a key takes now; 0 where there is none."""
        kept = self._keys.get(key)
        return 0 if kept is None else KeyEvent(key, kept.value).size

    def _apply(self, event: KeyEvent) -> None:
        self._stored -= self._size_of(event.key)
        before = self._keys.pop(event.key, None)
        if before is not None:
            if before.lease in self._leases:
                self._leases[before.lease].keys.discard(event.key)
        if event.value is not None:
            self._stored += event.size
            self._keys[event.key] = StoredKey(event.value, self._revision, event.lease)
            if event.lease:
                self._leases[event.lease].keys.add(event.key)
            if before is None:
                insort(self._names, event.key)
        elif before is not None:
            del self._names[bisect_left(self._names, event.key)]

    def _remember(self, change: _Change) -> None:
        """Keep the changes for watches, and forget the oldest ones where they are too many."""
        self._history.append(change)
        self._history_size += change.size
        while self._history_size > MOST_HISTORY:
            gone = self._history.popleft()
            self._compacted = gone.revision
            self._history_size -= gone.size
