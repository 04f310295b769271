"""/v1/links: what a link costs, as an operator sets it (D-1.d). Kept in the state directory: a controller that starts
again must not lead traffic back where it was taken away."""

import json
import logging
from collections.abc import Callable
from typing import Any, cast

from steering.core.inputs import Input, LinkWeighed
from steering.model.view import View
from steering.northbound.bodies import LinkUpdate
from steering.northbound.conditional import require_match, tag_of
from steering.northbound.exchange import Call, Reply
from steering.northbound.lists import Store
from steering.northbound.problems import not_found, shown

Json = dict[str, Any]

FILE = "links.json"
MOST_BYTES = 4 << 20

log = logging.getLogger(__name__)


class Links:
    """`take` has the engine handle an input before it comes back. Raises ValueError for a file that is none of ours."""

    def __init__(self, view: View, store: Store, take: Callable[[Input], None]) -> None:
        self._view = view
        self._store = store
        self._take = take
        self._set = self._load()

    def _load(self) -> dict[str, float]:
        text = self._store.load(FILE) or "{}"
        try:
            found: Json = json.loads(text[:MOST_BYTES])
            return {
                str(name): LinkUpdate(weight=float(weight)).weight or 1.0 for name, weight in found.items()
            }
        except (ValueError, TypeError, AttributeError):
            raise ValueError(f"{FILE} is none of ours: restore it, or remove it to begin without") from None

    def restore(self) -> None:
        """Tell the engine what was set."""
        for name, weight in self._set.items():
            ends = self._view.link_ends(name)
            if ends is None:
                log.warning("the weight of %s is of no use: the site has no such switches now", name)
            else:
                self._take(LinkWeighed(*ends, weight))

    def links(self, _: Call) -> Reply:
        return Reply(self._view.links())

    def link(self, call: Call) -> Reply:
        found = self._found(call)
        return Reply(found, tag=tag_of(found))

    def put_link(self, call: Call) -> Reply:
        """Sessions that begin from now on go by it; live ones stay on their paths."""
        before = self._found(call)
        require_match(call.if_match, tag_of(before))
        weight, name = cast(LinkUpdate, call.body).weight, before["name"]
        ends = self._view.link_ends(name)
        assert ends is not None, "a link in the list has no ends"
        if weight is None:
            self._set.pop(name, None)
        else:
            self._set[name] = weight
        self._store.save(FILE, json.dumps(self._set))
        self._take(LinkWeighed(*ends, weight))
        return self.link(call)

    def _found(self, call: Call) -> Json:
        wanted = call.path["name"]
        ends = self._view.link_ends(wanted)
        for one in self._view.links()["links"]:
            if ends is not None and self._view.link_ends(one["name"]) == ends:
                found: Json = one
                return found
        raise not_found(f"no link {shown(wanted)}; /v1/links lists them")
