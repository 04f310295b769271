"""Pseudonyms of subscribers: what REST and logs show instead of a subscriber's own name (N-7.1)."""

import hashlib
import hmac
from typing import Any

Json = dict[str, Any]
_OF = "subscriber "


def pseudonym(key: bytes, subscriber: str) -> str:
    """16 hex digits, always the same for one subscriber. Without the key nobody can compute the name from them. An empty
    key, which only a lab's negative control has, gives the subscriber's own name."""
    if not key:
        return subscriber
    return hmac.new(key, subscriber.encode(), hashlib.sha256).hexdigest()[:16]


def of_source(key: bytes, source: str) -> str:
    """The source of a limit, such as "class home" or "subscriber anna", with a pseudonym in place of the
    subscriber's name."""
    return _OF + pseudonym(key, source.removeprefix(_OF)) if source.startswith(_OF) else source


def of_limits(key: bytes, found: Json) -> Json:
    """The limits that `View.limits` tells, with pseudonyms in place of subscribers' names."""

    def discreet(row: Json) -> Json:
        shown = dict(row)
        if row.get("kind") == "subscriber":
            shown["name"] = pseudonym(key, row["name"])
        if "source" in row:
            shown["source"] = of_source(key, row["source"])
        return shown

    lists = {name: [discreet(row) for row in found[name]] for name in ("controller", "quotas", "use", "full")}
    last = found["last_full"]
    return {**found, **lists, "last_full": None if last is None else discreet(last)}
