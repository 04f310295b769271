"""Follows all keys below a prefix and misses no change: it lists them, then watches from the listing's revision on.

A watch may go silent unnoticed: its etcd member was killed, is frozen, or is cut off from the others. So a watch without an
event for some seconds is begun anew at the next endpoint, from the revision after the last one seen. That costs one request
and repeats no event. Where etcd has compacted that revision, or is another cluster than before, all keys are listed again,
and the differences are told.
"""

import logging
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from steering.model.cluster import WATCH_QUIET
from steering.store.etcd.access import EtcdError, EtcdFault
from steering.store.etcd.gateway import EtcdStream, Json
from steering.store.etcd.keys import Keys, KeyValue, header_revision

SHORTEST, LONGEST = 0.05, 1.0  # seconds between attempts
MOST_KEYS = 200_000  # keys below one prefix

log = logging.getLogger(__name__)


class KeyChange(NamedTuple):
    """A key has a new text; None: it was deleted. `revision`: etcd's revision of the change."""

    key: str
    text: str | None
    revision: int


class EtcdWatch:
    """A watch of all keys below `below`. `quiet`: seconds without an event after which the next endpoint is watched.
    `revision`: the newest revision that was told. `listed`: how often all keys were listed. `begun`: how often a watch
    began. `is_anew`: whether the present changes are differences between two clusters of etcd. Then keys are missing
    although nobody has deleted them."""

    def __init__(self, keys: Keys, below: str, quiet: float = WATCH_QUIET) -> None:
        self._keys = keys
        self._below = below
        self._quiet = quiet
        self._known: dict[str, int] = {}  # revisions by key
        self._cluster = ""
        self.revision = 0
        self.listed = 0
        self.begun = 0
        self.is_anew = False
        self.reached = False  # whether the last attempt reached etcd
        self._stopped = False
        self._stream: EtcdStream | None = None

    def stop(self) -> None:
        """Have `run` return, within some seconds."""
        self._stopped = True
        if self._stream is not None:
            self._stream.wake()

    def run(self, take: Callable[[list[KeyChange]], None]) -> None:
        """Call `take` with every change until `stop`. The first call has all present keys, and may be empty. An exception of
        `take` ends the watch; where it is run again, `take` is called with all keys anew."""
        wait = SHORTEST
        is_listed = False
        while not self._stopped:
            try:
                if not is_listed:
                    self._give(take, self._list())
                    is_listed = self.reached = True
                    wait = SHORTEST
                for changes in self._follow():
                    wait = SHORTEST
                    if changes:
                        self._give(take, changes)
            except EtcdError as error:
                if error.fault is EtcdFault.COMPACTED:
                    is_listed = False
                    continue
                # A message may have too many changes: a list of all keys comes in pieces.
                is_listed = is_listed and error.fault is not EtcdFault.TOO_LARGE
                if self.reached:
                    log.warning("etcd is not watched for the moment: %s", error)
                self.reached = False
                if not self._stopped:
                    time.sleep(wait)
                wait = min(2 * wait, LONGEST)

    def _give(self, take: Callable[[list[KeyChange]], None], changes: list[KeyChange]) -> None:
        """Call `take`. If it raises an exception, its changes are told once more: the next list tells all keys, and deleted ones too."""
        try:
            take(changes)
        except Exception:
            self._known = dict.fromkeys([*self._known, *(one.key for one in changes)], 0)
            raise

    def _list(self) -> list[KeyChange]:
        """List all keys; the differences from the known ones, as changes."""
        listing = self._keys.below(self._below, most=MOST_KEYS)
        self.listed += 1
        now = {one.key: one for one in listing.found}
        anew = self.is_anew = bool(self._cluster) and (
            listing.cluster != self._cluster or listing.revision < self.revision
        )
        changes = [KeyChange(key, None, listing.revision) for key in self._known if key not in now]
        changes += [
            KeyChange(*one) for key, one in now.items() if anew or self._known.get(key) != one.revision
        ]
        self._known = {key: one.revision for key, one in now.items()}
        self.revision, self._cluster = listing.revision, listing.cluster
        return changes

    def _follow(self) -> Iterator[list[KeyChange]]:
        """The changes of one watch, until it ends, fails or is quiet."""
        self.is_anew = False
        first, end = self._keys.span(self._below)
        body = {"key": first, "range_end": end, "start_revision": str(self.revision + 1)}
        stream = self._keys.gateway.stream("watch", {"create_request": body}, self._quiet)
        self._stream = stream
        self.begun += 1
        try:
            for message in stream:
                self._same_cluster(message)
                self.reached = True
                if message.get("canceled"):
                    compacted = "compact_revision" in message
                    why = EtcdFault.COMPACTED if compacted else EtcdFault.UNREACHABLE
                    raise EtcdError(why, f"etcd ended a watch: {str(message.get('cancel_reason', ''))[:200]}")
                yield self._changes(message)
            if not self._stopped:
                # The member closed the watch; another one may serve.
                time.sleep(SHORTEST)
        except TimeoutError:
            pass
        finally:
            self._stream = None
            stream.close()
            self._keys.gateway.elsewhere(stream.place)

    def _same_cluster(self, message: Json) -> None:
        """Raises EtcdError for a message of another cluster: a new cluster counts revisions from 1, so a watch from a later
        revision would stay silent. A cluster that is set up anew with the same addresses has the same id, and an older revision. A member
        that lags behind the others has an older revision, too. Only a list of keys can distinguish the two, because it waits until the
        member has what the others have."""
        header = message.get("header")
        told = str(header.get("cluster_id", "")) if isinstance(header, dict) else ""
        if told and told != self._cluster:
            raise EtcdError(EtcdFault.COMPACTED, "etcd is another cluster than before")
        if 0 < header_revision(message) < self.revision and self._is_older():
            raise EtcdError(EtcdFault.COMPACTED, "etcd was set up anew")

    def _is_older(self) -> bool:
        return self._keys.below(self._below, names_only=True, most=1).revision < self.revision

    def _changes(self, message: Json) -> list[KeyChange]:
        events = message.get("events", [])
        if not isinstance(events, list):
            raise EtcdError(EtcdFault.MALFORMED, "etcd's event is not one")
        changes = []
        for event in events:
            told = event.get("kv") if isinstance(event, dict) else None
            if not isinstance(told, dict):
                raise EtcdError(EtcdFault.MALFORMED, "etcd's event is not one")
            one: KeyValue = self._keys.read(told)
            if one.revision <= self.revision:
                continue  # told already
            gone = event.get("type") == "DELETE"
            if gone:
                self._known.pop(one.key, None)
            else:
                self._known[one.key] = one.revision
            if len(self._known) > MOST_KEYS:
                raise EtcdError(EtcdFault.TOO_LARGE, f"more than {MOST_KEYS} keys below {self._below}")
            changes.append(KeyChange(one.key, None if gone else one.text, one.revision))
        if changes:
            # Events of one revision come in one message.
            self.revision = max(self.revision, changes[-1].revision)
        return changes
