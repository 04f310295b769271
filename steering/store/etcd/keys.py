"""The keys of one cluster in etcd: ranges, transactions, leases. Controllers agree by compare-and-set alone. etcd's locks are
not used: a lock's lease may end while its holder believes that it holds (Jepsen's report on etcd 3.4.3,
jepsen.io/analyses/etcd-3.4.3).
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Any, NamedTuple

from steering.store.etcd.access import EtcdError, EtcdFault
from steering.store.etcd.gateway import EtcdGateway, Json

MOST_VALUE = 1 << 20  # bytes of one value; etcd accepts some 1.5 MB in a request
MOST_OPERATIONS = 100  # operations of one transaction; etcd accepts 128
PAGE = 512  # keys of one answer to a range, where values are small


class KeyValue(NamedTuple):
    """A key without the cluster's prefix, its text, and the revision that changed it last."""

    key: str
    text: str
    revision: int


class KeyListing(NamedTuple):
    """The keys of a range at `revision`. `cluster`: the id of etcd's cluster."""

    found: list[KeyValue]
    revision: int
    cluster: str


class Put(NamedTuple):
    """Put a text under a key. With `lease`, etcd deletes the key when that lease ends."""

    key: str
    text: str
    lease: int = 0


class Delete(NamedTuple):
    """Delete a key, or with `all_below` all keys that begin with it."""

    key: str
    all_below: bool = False


class Keys:
    """Keys below `prefix`. `page`: keys of one answer to a range. Every method raises EtcdError."""

    def __init__(self, gateway: EtcdGateway, prefix: str, page: int = PAGE) -> None:
        self.gateway = gateway
        self.prefix = prefix
        self._page = page

    def get(self, key: str) -> KeyValue | None:
        answer = self.gateway.call("kv/range", {"key": self._encoded(key)})
        found = [self.read(one) for one in _list(answer, "kvs")]
        return found[0] if found else None

    def below(self, begin: str, names_only: bool = False, most: int = 1_000_000) -> KeyListing:
        """At most `most` keys that begin with `begin`, sorted, all as they were at one revision."""
        first, end = self.span(begin)
        found: list[KeyValue] = []
        revision, cluster = 0, ""
        key = first
        while True:
            body: Json = {"key": key, "range_end": end, "limit": self._page, "keys_only": names_only}
            if revision:
                body["revision"] = revision
            answer = self.gateway.call("kv/range", body)
            revision = revision or header_revision(answer)
            cluster = cluster or str(answer.get("header", {}).get("cluster_id", ""))
            page = [self.read(one) for one in _list(answer, "kvs")]
            found += page
            if not answer.get("more") or not page or len(found) >= most:
                return KeyListing(found[:most], revision, cluster)
            key = self._encoded(page[-1].key + "\0")

    def put(self, key: str, text: str, lease: int = 0) -> int:
        """Put a text under a key; etcd's revision of this change."""
        self._bounded(key, text)
        body: Json = {"key": self._encoded(key), "value": _base64(text)}
        if lease:
            body["lease"] = lease
        return header_revision(self.gateway.call("kv/put", body))

    def replace(self, key: str, revision: int, text: str) -> int:
        """Put a text under a key that was changed last at `revision` (0: the key does not exist); etcd's revision of this
        change. 0 where the key was changed meanwhile: then nothing is. After an EtcdError that is `unsure` either may be the
        case."""
        compare = {
            "key": self._encoded(key),
            "target": "MOD",
            "result": "EQUAL",
            "mod_revision": str(revision),
        }
        body: Json = {"compare": [compare], "success": [self._operation(Put(key, text))]}
        answer = self.gateway.call("kv/txn", body)
        return header_revision(answer) if answer.get("succeeded") is True else 0

    def delete(self, key: str, all_below: bool = False) -> None:
        self.gateway.call("kv/deleterange", self._deletion(Delete(key, all_below)))

    def commit(self, unchanged: dict[str, int], changes: Iterable[Put | Delete]) -> bool:
        """Make all changes if every key of `unchanged` was changed last at the given revision (0: the key does not exist).
        False if not, and nothing is changed. After an EtcdError that is `unsure` either may be the case."""
        operations = [self._operation(change) for change in changes]
        if len(operations) > MOST_OPERATIONS:
            raise EtcdError(EtcdFault.TOO_LARGE, f"a transaction has at most {MOST_OPERATIONS} operations")
        compare = [
            {"key": self._encoded(key), "target": "MOD", "result": "EQUAL", "mod_revision": str(revision)}
            for key, revision in unchanged.items()
        ]
        answer = self.gateway.call("kv/txn", {"compare": compare, "success": operations})
        return answer.get("succeeded") is True

    # ---- leases ---------------------------------------------------------------------------------

    def grant(self, seconds: int) -> int:
        """Make a lease that ends unless it is kept alive within `seconds`; its number."""
        return _number(self.gateway.call("lease/grant", {"TTL": seconds}).get("ID"))

    def keep_alive(self, lease: int) -> bool:
        """Keep a lease alive; False where it has ended already."""
        answer = self.gateway.call("lease/keepalive", {"ID": str(lease)})
        result = answer.get("result")
        return isinstance(result, dict) and _number(result.get("TTL", 0)) > 0

    def revoke(self, lease: int) -> None:
        """End a lease. etcd deletes the keys that were put with it."""
        self.gateway.call("lease/revoke", {"ID": str(lease)})

    # ---- the gateway's forms --------------------------------------------------------------------

    def span(self, begin: str) -> tuple[str, str]:
        """The range of all keys that begin with `begin`, in base64."""
        data = (self.prefix + begin).encode()
        return b64encode(data).decode(), b64encode(data[:-1] + bytes((data[-1] + 1,))).decode()

    def read(self, told: Json) -> KeyValue:
        """A key and value of the gateway's answer. Raises EtcdError for one that this program did not write."""
        try:
            key = b64decode(told["key"]).decode("ascii")
            text = b64decode(told.get("value", "")).decode("ascii")
        except (KeyError, TypeError, ValueError):
            raise EtcdError(EtcdFault.MALFORMED, "etcd holds a key or a value that is none of ours") from None
        return KeyValue(key.removeprefix(self.prefix), text, _number(told.get("mod_revision", 0)))

    def _encoded(self, key: str) -> str:
        return _base64(self.prefix + key)

    def _bounded(self, key: str, text: str) -> None:
        if len(text) > MOST_VALUE:
            raise EtcdError(EtcdFault.TOO_LARGE, f"{key} is larger than {MOST_VALUE} bytes")

    def _operation(self, change: Put | Delete) -> Json:
        if isinstance(change, Delete):
            return {"request_delete_range": self._deletion(change)}
        self._bounded(change.key, change.text)
        body: Json = {"key": self._encoded(change.key), "value": _base64(change.text)}
        if change.lease:
            body["lease"] = str(change.lease)
        return {"request_put": body}

    def _deletion(self, deletion: Delete) -> Json:
        if not deletion.all_below:
            return {"key": self._encoded(deletion.key)}
        first, end = self.span(deletion.key)
        return {"key": first, "range_end": end}


def header_revision(answer: Json) -> int:
    """etcd's revision when it answered."""
    header = answer.get("header")
    return _number(header.get("revision", 0)) if isinstance(header, dict) else 0


def _base64(text: str) -> str:
    return b64encode(text.encode("ascii")).decode("ascii")


def _list(answer: Json, name: str) -> list[Json]:
    found = answer.get(name, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise EtcdError(EtcdFault.MALFORMED, "etcd's answer is not one")
    return found


def _number(told: Any) -> int:
    """A number of the gateway, which sends 64-bit numbers as text."""
    try:
        return int(told)
    except (TypeError, ValueError):
        raise EtcdError(EtcdFault.MALFORMED, "etcd's answer has no number where one belongs") from None
