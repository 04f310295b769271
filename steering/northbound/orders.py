"""What operators ordered over REST and no file says: MCPs that drain (D-6.7.1), access networks' types and subscribers'
accesses with their sequence numbers (D-6.3e), offloads (D-1.u2). Kept in the state directory: a controller that starts
again must not send sessions to an MCP in maintenance, nor believe an update that was old already.

Subscribers are kept by their pseudonyms (N-7.1).
"""

import logging
from collections.abc import Callable

from pydantic import Field

from steering.core.inputs import AccessChanged, Input, McpAdmin, Offload, SubscriberAccess
from steering.model.policy import Pooling
from steering.model.view import View
from steering.northbound.accesses import Accesses
from steering.northbound.bodies import AccessUpdate, Body, Name, SubscriberUpdate
from steering.northbound.lists import Store

FILE = "orders.json"
MOST_SUBSCRIBERS = 10_000  # that are kept: the last ones

log = logging.getLogger(__name__)


class _Kept(Body):
    """The file."""

    draining: list[Name] = Field(default_factory=list)
    access_networks: dict[Name, AccessUpdate] = Field(default_factory=dict)
    subscribers: dict[Name, SubscriberUpdate] = Field(default_factory=dict, max_length=MOST_SUBSCRIBERS)
    offloads: dict[Name, Name] = Field(default_factory=dict)


def pooling_of(update: SubscriberUpdate) -> Pooling | None:
    """What an update says; None: as rules say."""
    allowed, order = frozenset(update.allowed), tuple(dict.fromkeys(update.preferred))
    return Pooling(allowed, order) if allowed or order else None


class Orders:
    """`take` has the engine handle an input before it comes back. Raises ValueError for a file that is none of ours."""

    def __init__(
        self,
        view: View,
        accesses: Accesses,
        store: Store,
        pseudonym: Callable[[str], str],
        take: Callable[[Input], None],
    ) -> None:
        self._view = view
        self._accesses = accesses
        self._store = store
        self._pseudonym = pseudonym
        self._take = take
        text = store.load(FILE)
        try:
            self._kept = _Kept() if text is None else _Kept.model_validate_json(text)
        except ValueError:
            raise ValueError(f"{FILE} is none of ours: restore it, or remove it to begin without") from None
        self._unsaved = False

    def restore(self) -> None:
        """Tell the engine what was ordered."""
        kept, mcps = self._kept, {mcp["name"]: mcp["id"] for mcp in self._view.mcps()}
        declared = {one["name"]: (one["type"], one["trust"]) for one in self._accesses.all()}
        known = declared.keys()
        for name in kept.draining:
            if name in mcps:
                self._take(McpAdmin(mcps[name], True))
        for name, update in kept.access_networks.items():
            if name in known and self._accesses.accept(name, update.type, update.trust, update.sequence):
                self._take(AccessChanged(name, update.type, update.trust))
                if declared[name] != (update.type, update.trust):
                    log.info(
                        "%s is %s, %s by update %d over REST",
                        name,
                        update.type,
                        update.trust,
                        update.sequence,
                    )
        names = (
            {self._pseudonym(one["id"]): one["id"] for one in self._view.subscribers()}
            if kept.subscribers
            else {}
        )
        for pseudonym, wish in kept.subscribers.items():
            if pseudonym in names:
                self._accesses.accept_subscriber(names[pseudonym], wish)
                self._take(SubscriberAccess(names[pseudonym], pooling_of(wish)))
        for source, target in kept.offloads.items():
            if {source, target} <= known:
                self._take(Offload(source, target))
        named = {*kept.access_networks, *kept.offloads, *kept.offloads.values()}
        gone = sorted((set(kept.draining) - mcps.keys()) | (named - known))
        if gone:
            what = "orders about %s are of no use: the site has no such MCP or access network now"
            log.warning(what, ", ".join(gone))

    def drain(self, mcp: str, draining: bool) -> None:
        """An MCP drains from now on, or no more; on disk when this returns."""
        others = [name for name in self._kept.draining if name != mcp]
        self._keep(draining=[*others, mcp] if draining else others)

    def access(self, name: str, update: AccessUpdate) -> None:
        """An access network is another type, or of other trust; on disk when this returns."""
        self._keep(access_networks={**self._kept.access_networks, name: update})

    def offload(self, source: str, target: str | None) -> None:
        """Traffic of an access network goes to another, or no more; on disk when this returns."""
        known = {
            name: to
            for name, to in self._kept.offloads.items()
            if name != source and (name, to) != (target, source)
        }
        self._keep(offloads=known if target is None else {**known, source: target})

    def subscriber(self, pseudonym: str, update: SubscriberUpdate) -> None:
        """A subscriber's accesses; on disk with the next `save`, as there may be many of them."""
        known = self._kept.subscribers
        known.pop(pseudonym, None)
        while len(known) >= MOST_SUBSCRIBERS:
            del known[next(iter(known))]
        known[pseudonym] = update
        self._unsaved = True

    def save(self) -> None:
        """Write what is not on disk yet; wants calling now and then."""
        if self._unsaved:
            self._store.save(FILE, self._kept.model_dump_json())
            self._unsaved = False

    def _keep(self, **what: object) -> None:
        self._kept = self._kept.model_copy(update=what)
        self._unsaved = True
        self.save()
