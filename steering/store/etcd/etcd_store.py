"""Stored values in etcd: an `interface.Store` that all controllers of a cluster share.

A short value is one key, its head. A long value, such as a policy, is first written in chunks below a fresh number. Then its
head is replaced by one that names these chunks. So a reader gets the old value or the new one whole. A writer that dies in
between leaves chunks that no head names; `sweep` removes them when they are old.
"""

import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

from steering.store.etcd.access import EtcdError, EtcdFault
from steering.store.etcd.keys import Delete, Keys, KeyValue, Put
from steering.store.interface import (
    MOST_BYTES,
    MOST_NAMES,
    StateError,
    StateRefusal,
    checked_name,
    checked_text,
)

CHUNK = 256 << 10  # bytes
ATTEMPTS = 5  # times to read or write a value that other controllers write at the same time
LEFT_OVER_S = 3_600.0  # seconds after which chunks without a head belong to a writer that died
ALWAYS: Mapping[str, int] = {}

_HEADS, _CHUNKS = "kept/", "chunks/"
_REFUSALS = {
    EtcdFault.UNREACHABLE: StateRefusal.UNREACHABLE,
    EtcdFault.NO_SPACE: StateRefusal.NO_SPACE,
    EtcdFault.TOO_LARGE: StateRefusal.TOO_LARGE,
    EtcdFault.MALFORMED: StateRefusal.DAMAGED,
}


class EtcdStore:
    """Implements `interface.Store` on the keys of a cluster. Raises StateError with UNREACHABLE where etcd has no majority."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._own: dict[str, str | None] = {}  # what this store has put last under heads' keys; None: nothing

    def read(self, name: str, most: int = MOST_BYTES) -> str | None:
        checked_name(name)
        for _ in range(ATTEMPTS):
            kept = self._get(_HEADS + name)
            if kept is None:
                return None
            head = _head(name, kept)
            if head["bytes"] > most:
                raise StateError(StateRefusal.TOO_LARGE, f"{name} is larger than {most} bytes")
            text = head["text"] if "text" in head else self._chunks(name, head)
            if text is not None:
                if hashlib.sha256(text.encode()).hexdigest() != head["sha256"]:
                    raise StateError(StateRefusal.DAMAGED, f"{name} in etcd is damaged: write it again")
                return str(text).strip()
        raise StateError(StateRefusal.INPUT_OUTPUT, f"{name} changes too often to be read")

    def write(self, name: str, text: str) -> None:
        checked_name(name)
        checked_text(name, text)
        for _ in range(ATTEMPTS):
            before = self._get(_HEADS + name)
            if self._put(name, text, before):
                return
        raise StateError(StateRefusal.INPUT_OUTPUT, f"{name} is not kept: others write it all the time")

    def create(self, name: str, text: str) -> bool:
        checked_name(name)
        checked_text(name, text)
        return self._get(_HEADS + name) is None and self._put(name, text, None)

    def remove(self, name: str) -> None:
        checked_name(name)
        try:
            kept = self._keys.get(_HEADS + name)
            self._own[_HEADS + name] = None
            self._keys.delete(_HEADS + name)
            if kept is not None:
                self._forget(name, kept)
        except EtcdError as error:
            raise state_error(error) from None

    def wrote(self, key: str, text: str | None) -> bool:
        """Whether this store has given a key of etcd its text, or has removed it (None)."""
        return key in self._own and self._own[key] == text

    def names(self, folder: str = "") -> list[str]:
        begin = _HEADS + (f"{checked_name(folder)}/" if folder else "")
        try:
            found = self._keys.below(begin, names_only=True, most=MOST_NAMES).found
        except EtcdError as error:
            raise state_error(error) from None
        return [name for one in found if "/" not in (name := one.key.removeprefix(begin))]

    def sweep(self, unchanged: Mapping[str, int] = ALWAYS) -> int:
        """Remove old chunks that no head names; the number of values they belonged to. Chunks stay where the head has changed since, or a
        key of `unchanged` is not at its revision: the writer's clock may be hours behind, and its value about to be put in its place.
        Raises StateError."""
        try:
            chunks = self._keys.below(_CHUNKS, names_only=True).found
            if not chunks:
                return 0  # saves the listing of heads, which are many and may hold their text
            written = {one.key.removeprefix(_CHUNKS).rpartition("/")[0] for one in chunks}
            heads = {one.key.removeprefix(_HEADS): one for one in self._keys.below(_HEADS).found}
            named = {f"{name}/{counted}" for name, one in heads.items() if (counted := _chunks_of(name, one))}
            old = time.time() - LEFT_OVER_S
            removed = 0
            for orphan in sorted(one for one in written - named if _written_at(one) < old):
                name = orphan.rpartition("/")[0]
                head = heads.get(name)
                known = {**unchanged, _HEADS + name: 0 if head is None else head.revision}
                removed += self._keys.commit(known, [Delete(f"{_CHUNKS}{orphan}/", all_below=True)])
        except EtcdError as error:
            raise state_error(error) from None
        return removed

    # ---- a value that is not in its place yet ---------------------------------------------------

    def stage(self, name: str, text: str) -> str:
        """Write a value's chunks, and return its head. The value is not stored until that head is put in place (`placed`).
        Raises StateError."""
        checked_name(name)
        checked_text(name, text)
        number = f"{int(time.time())}-{secrets.token_hex(8)}"
        head: dict[str, Any] = {
            "bytes": len(text),
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
            "number": number,
        }
        if len(json.dumps(text)) <= CHUNK:  # with what JSON escapes
            return json.dumps(head | {"text": text})
        head |= {"chunks": number, "count": -(-len(text) // CHUNK)}
        try:
            for place in range(head["count"]):
                part = text[place * CHUNK : (place + 1) * CHUNK]
                self._keys.put(f"{_CHUNKS}{name}/{number}/{place:05}", part)
        except EtcdError as error:
            raise state_error(error) from None
        return json.dumps(head)

    def staged(self, name: str, head: str) -> str:
        """The value of a head that may not be in place yet. Raises StateError, also where its chunks are gone."""
        told = _head(name, KeyValue(name, head, 0))
        text = told["text"] if "text" in told else self._chunks(name, told)
        if text is None or hashlib.sha256(text.encode()).hexdigest() != told["sha256"]:
            raise StateError(StateRefusal.DAMAGED, f"{name} in etcd is not whole: write it again")
        return str(text)

    def placed(self, name: str, head: str) -> Put:
        """The operation that puts a head in place, for a transaction of the same keys."""
        return Put(_HEADS + checked_name(name), head)

    def discard(self, name: str, head: str) -> None:
        """Remove the chunks of a head, unless that head is in place. Raises StateError."""
        told = _head(name, KeyValue(name, head, 0))
        if "chunks" not in told:
            return
        there = self._get(_HEADS + name)
        if there is not None and _head(name, there).get("chunks") == told["chunks"]:
            return
        gone = Delete(f"{_CHUNKS}{name}/{told['chunks']}/", all_below=True)
        try:
            # A head that another controller puts in place at this moment may name these chunks, so the head is compared.
            self._keys.commit({_HEADS + name: 0 if there is None else there.revision}, [gone])
        except EtcdError as error:
            raise state_error(error) from None

    # ---- heads and chunks -----------------------------------------------------------------------

    def _get(self, key: str) -> KeyValue | None:
        try:
            return self._keys.get(key)
        except EtcdError as error:
            raise state_error(error) from None

    def _put(self, name: str, text: str, before: KeyValue | None) -> bool:
        """Put a value in place of `before`; False where another controller has written the value since."""
        key = _HEADS + name
        head = self.stage(name, text)
        self._own[key] = head  # before the change, which a watch may tell before it is answered
        try:
            done = self._commit(key, head, 0 if before is None else before.revision)
            if done and before is not None:
                self._forget(name, before)
        except EtcdError as error:
            raise state_error(error) from None
        if not done:
            self.discard(name, head)
        return done

    def _commit(self, key: str, head: str, revision: int) -> bool:
        """Compare-and-set. Where the answer was lost, etcd is asked whether our head is in place; a head is unique by its
        number."""
        try:
            done = self._keys.commit({key: revision}, [Put(key, head)])
        except EtcdError as error:
            if not error.unsure:
                raise
            done = False
        if done:
            return True
        kept = self._keys.get(key)
        return kept is not None and kept.text == head

    def _chunks(self, name: str, head: dict[str, Any]) -> str | None:
        """The text of a long value; None where its chunks were removed because another value was written since."""
        begin = f"{_CHUNKS}{name}/{head['chunks']}/"
        parts: list[str] = []
        try:
            for place in range(head["count"]):
                kept = self._keys.get(f"{begin}{place:05}")
                if kept is None:
                    return None
                parts.append(kept.text)
        except EtcdError as error:
            raise state_error(error) from None
        return "".join(parts)

    def _forget(self, name: str, kept: KeyValue) -> None:
        """Remove the chunks of a value that is replaced."""
        if chunks := _chunks_of(name, kept):
            self._keys.commit({}, [Delete(f"{_CHUNKS}{name}/{chunks}/", all_below=True)])


def _chunks_of(name: str, kept: KeyValue) -> str:
    """The number of the chunks that a head names; "" for none, and for a head that this program did not write."""
    try:
        return str(_head(name, kept).get("chunks", ""))
    except StateError:
        return ""


def _head(name: str, kept: KeyValue) -> dict[str, Any]:
    """The data of a head. Raises StateError for one that this program did not write."""
    try:
        head = json.loads(kept.text)
        whole = isinstance(head["bytes"], int) and isinstance(head["sha256"], str)
        if "text" in head:
            whole = whole and isinstance(head["text"], str) and len(head["text"]) == head["bytes"]
        else:
            whole = whole and isinstance(head["chunks"], str) and type(head["count"]) is int
            whole = whole and 0 < head["count"] <= -(-MOST_BYTES // CHUNK)
    except (ValueError, TypeError, KeyError, RecursionError):
        whole = False
    if not whole:
        raise StateError(StateRefusal.DAMAGED, f"{name} in etcd is none of ours: remove it to begin without")
    found: dict[str, Any] = head
    return found


def _written_at(chunks: str) -> float:
    """When chunks were written, seconds since 1970, from `NAME/SECONDS-RANDOM`; 0 for another text."""
    seconds = chunks.rpartition("/")[2].partition("-")[0]
    return float(seconds) if seconds.isdigit() else 0.0


def state_error(error: EtcdError) -> StateError:
    """The StateError of a store for an error of etcd."""
    return StateError(_REFUSALS.get(error.fault, StateRefusal.INPUT_OUTPUT), str(error))
