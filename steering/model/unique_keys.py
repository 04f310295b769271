"""Reads JSON objects, and refuses those that name a key twice: different readers would take different values (RFC 8259 section 4)."""

from typing import Any


class RepeatedKey(ValueError):
    """An object names a key twice. `key`: the first such key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"an object names {key!r} twice")
        self.key = key


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these pairs, for `object_pairs_hook` of json.loads. Raises RepeatedKey."""
    found = dict(pairs)
    if len(found) < len(pairs):
        # In one pass, so that an object with thousands of keys does not make the reader compare each key with each other.
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise RepeatedKey(key)
            seen.add(key)
    return found
