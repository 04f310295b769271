"""An etcd of one member in memory, as far as its JSON gateway is used here: ranges, transactions, leases and watches, each change
with a revision of its own. What tests do to it: `down`, `loses_answers`, `end_lease`.

It answers the requests of `steering.store.etcd.keys` and `watch`, which run on it unchanged; `tests/integration` runs the same tests
on a real etcd.
"""

import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from typing import Any, ClassVar

from steering.store.etcd.access import EtcdAccess, EtcdEndpoint, EtcdError, EtcdFault
from steering.store.etcd.gateway import EtcdGateway, EtcdStream, Json

MOST_OPERATIONS = 128  # of a transaction, as etcd's default
MOST_REQUEST = 1_572_864  # bytes, as etcd's default


class FakeEtcd:
    """`down`: it does not answer; watches that are open stay silent. `loses_answers`: so many of the next transactions are carried
    out, and their answers are lost. `meanwhile`: what happens before the next transactions, one each. `requests`: how many were
    answered."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.down = False
        self.loses_answers = 0
        self.meanwhile: list[Callable[[], object]] = []
        self.requests = 0
        self.revision = 1
        self.history: list[tuple[int, list[Json]]] = []  # revision -> its events
        self._keys: dict[bytes, Json] = {}
        self._leases: dict[str, set[bytes]] = {}

    def gateway(self) -> EtcdGateway:
        return _FakeGateway(self)

    def end_lease(self, lease: int) -> None:
        """As when nobody has kept it alive, or it was revoked."""
        with self.changed:
            events = [self._deleted(key) for key in self._leases.pop(str(lease), set()) if key in self._keys]
            self._happened(events)

    def call(self, path: str, body: Json) -> Json:
        if path == "kv/txn" and self.meanwhile:
            self.meanwhile.pop(0)()
        with self.changed:
            if self.down:
                raise EtcdError(EtcdFault.UNREACHABLE, "etcd cannot be reached, last tried the fake", True)
            if sum(len(str(one)) for one in body.values()) > MOST_REQUEST:
                raise EtcdError(EtcdFault.TOO_LARGE, "etcd refuses: request is too large")
            self.requests += 1
            answer = self._answers[path](self, deepcopy(body))
            if path == "kv/txn" and self.loses_answers:
                self.loses_answers -= 1
                raise EtcdError(EtcdFault.UNREACHABLE, "etcd cannot be reached: the answer was lost", True)
            return {"header": {"revision": str(self.revision), "cluster_id": "7"}, **answer}

    def _range(self, body: Json) -> Json:
        found = [self._told(key, bool(body.get("keys_only"))) for key in self._within(body)]
        limit = body.get("limit") or len(found)
        return {"kvs": found[:limit], "more": len(found) > limit}

    def _put(self, body: Json) -> Json:
        self._happened([self._stored(body)])
        return {}

    def _delete(self, body: Json) -> Json:
        self._happened([self._deleted(key) for key in self._within(body)])
        return {}

    def _txn(self, body: Json) -> Json:
        for one in body["compare"]:
            assert one["target"] == "MOD" and one["result"] == "EQUAL"
            kept = self._keys.get(b64decode(one["key"]))
            if int(one["mod_revision"]) != (0 if kept is None else kept["revision"]):
                return {}  # the gateway leaves `succeeded` out where it is false
        if len(body["success"]) > MOST_OPERATIONS:
            raise EtcdError(EtcdFault.REFUSED, "etcd refuses: too many operations in txn request")
        events: list[Json] = []
        puts = [b64decode(one["request_put"]["key"]) for one in body["success"] if "request_put" in one]
        for one in body["success"]:
            gone = one.get("request_delete_range")
            deleted = set(puts) & set(_span(gone, puts)) if gone else set()
            if len(set(puts)) < len(puts) or deleted:
                raise EtcdError(EtcdFault.REFUSED, "etcd refuses: duplicate key given in txn request")
            if "request_put" in one:
                events.append(self._stored(one["request_put"]))
            else:
                events += [self._deleted(key) for key in self._within(one["request_delete_range"])]
        self._happened(events)
        return {"succeeded": True}

    def _grant(self, body: Json) -> Json:
        number = str(1_000 + len(self._leases) + self.revision)
        while number in self._leases:
            number = str(int(number) + 1)
        self._leases[number] = set()
        return {"ID": number, "TTL": str(body["TTL"])}

    def _alive(self, body: Json) -> Json:
        return {"result": {"ID": body["ID"], "TTL": "3" if str(body["ID"]) in self._leases else "0"}}

    def _revoke(self, body: Json) -> Json:
        self.end_lease(int(body["ID"]))
        return {}

    _answers: ClassVar[dict[str, Any]] = {
        "kv/range": _range, "kv/put": _put, "kv/deleterange": _delete, "kv/txn": _txn, "lease/grant": _grant,
        "lease/keepalive": _alive, "lease/revoke": _revoke,
    }  # fmt: skip

    # ---- keys -----------------------------------------------------------------------------------

    def _within(self, body: Json) -> list[bytes]:
        return sorted(_span(body, self._keys))

    def _told(self, key: bytes, name_only: bool = False) -> Json:
        kept = self._keys[key]
        told = {"key": b64encode(key).decode(), "mod_revision": str(kept["revision"])}
        return told if name_only else told | {"value": b64encode(kept["value"]).decode()}

    def _stored(self, body: Json) -> Json:
        key, lease = b64decode(body["key"]), str(body.get("lease", "") or "")
        if lease and lease not in self._leases:
            raise EtcdError(EtcdFault.REFUSED, "etcd refuses: requested lease not found")
        for held in self._leases.values():
            held.discard(key)
        if lease:
            self._leases[lease].add(key)
        self._keys[key] = {"value": b64decode(body["value"]), "revision": self.revision + 1}
        return {"kv": self._told(key)}

    def _deleted(self, key: bytes) -> Json:
        del self._keys[key]
        return {
            "type": "DELETE",
            "kv": {"key": b64encode(key).decode(), "mod_revision": str(self.revision + 1)},
        }

    def _happened(self, events: list[Json]) -> None:
        if events:
            self.revision += 1
            self.history.append((self.revision, events))
            self.changed.notify_all()


def _span(body: Json, keys: Iterable[bytes]) -> list[bytes]:
    """Those of `keys` that a request is about."""
    first = b64decode(body["key"])
    end = b64decode(body["range_end"]) if "range_end" in body else first + b"\0"
    return [one for one in keys if first <= one < end]


class _FakeGateway(EtcdGateway):
    def __init__(self, etcd: FakeEtcd) -> None:
        super().__init__(EtcdAccess((EtcdEndpoint("fake", 1),)))
        self._etcd = etcd

    def call(self, path: str, body: Json) -> Json:
        return self._etcd.call(path, body)

    def stream(self, path: str, body: Json, wait: float) -> EtcdStream:
        assert path == "watch"
        if self._etcd.down:
            raise EtcdError(EtcdFault.UNREACHABLE, "etcd cannot be reached, last tried the fake")
        return _FakeWatch(self._etcd, body["create_request"], wait)


class _FakeWatch(EtcdStream):
    def __init__(self, etcd: FakeEtcd, wanted: Json, wait: float) -> None:
        self._etcd, self._wait = etcd, wait
        self._begin, self._end = b64decode(wanted["key"]), b64decode(wanted["range_end"])
        self._next = int(wanted["start_revision"])
        self._over = False
        self.place = 0

    def __iter__(self) -> Iterator[Json]:
        yield {"created": True, "header": {"cluster_id": "7"}}
        while True:
            with self._etcd.changed:
                if not self._etcd.changed.wait_for(lambda: self._over or self._news(), self._wait):
                    raise TimeoutError
                if self._over:
                    return
                events = self._news()
                self._next = self._etcd.revision + 1
            yield {"events": events, "header": {"cluster_id": "7"}}

    def _news(self) -> list[Json]:
        if self._etcd.down:
            return []
        return [
            event
            for revision, events in self._etcd.history
            if revision >= self._next
            for event in events
            if self._begin <= b64decode(event["kv"]["key"]) < self._end
        ]

    def wake(self) -> None:
        with self._etcd.changed:
            self._over = True
            self._etcd.changed.notify_all()

    def close(self) -> None:
        """Nothing is open."""
