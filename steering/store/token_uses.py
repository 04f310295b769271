"""When tokens were used last: `token-uses.json` in the state directory, token id -> seconds since 1970.

The times have a resolution of a minute, so that a token in use causes at most one write a minute. They are a convenience:
times that cannot be written or read are left out.
"""

import json
from contextlib import suppress

from steering.store.interface import StateError, Store
from steering.store.json_text import read_json

USES_FILE = "token-uses.json"
STEP = 60  # seconds
LATEST = 1 << 33  # seconds since 1970; what is beyond could not be shown
MOST_USES = 2_049  # the tokens of the file, and the first


def read_uses(store: Store) -> dict[str, int]:
    """The last uses by token id; empty where the file is missing or cannot be read."""
    try:
        told = read_json(store, USES_FILE, "it is made again") or {}
        pairs = list(told["uses"].items())[:MOST_USES]
        uses = {str(number): int(when) for number, when in pairs}
    except (StateError, KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return {}
    return {number: when for number, when in uses.items() if 0 <= when <= LATEST}


class TokenUses:
    """Records uses of tokens in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._uses = read_uses(store)

    def note(self, number: str, now: float) -> None:
        """A token was used at `now`, seconds since 1970. Ids come from the file of tokens, which is bounded; of those
        that were revoked the longest unused go."""
        # A last use that is still to come was noted by a clock that was ahead.
        if 0 <= now - self._uses.get(number, 0) < STEP:
            return
        self._uses.pop(number, None)
        while len(self._uses) >= MOST_USES:
            del self._uses[next(iter(self._uses))]
        self._uses[number] = int(now)  # at the end of the order
        with suppress(StateError):
            self._store.write(USES_FILE, json.dumps({"uses": self._uses}))
