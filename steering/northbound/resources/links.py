"""/v1/links: the links and their weights; an operator may set a link's weight (D-1.d)."""

import logging
from collections.abc import Callable
from typing import Any, cast

from steering.core.inputs import Input, LinkWeighed
from steering.northbound.http.conditional import require_match, tag_of
from steering.northbound.http.exchange import Call, RestReply
from steering.northbound.http.problems import not_found, shown
from steering.northbound.schema.bodies import LinkUpdate
from steering.northbound.schema.view import View
from steering.store.link_weights import LinkWeights

Json = dict[str, Any]

log = logging.getLogger(__name__)


class LinksResource:
    """`take` has the engine handle an input before it returns."""

    def __init__(self, view: View, weights: LinkWeights, take: Callable[[Input], None]) -> None:
        self._view = view
        self._weights = weights
        self._take = take

    def restore(self) -> None:
        """Give the engine the stored weights; log those of links that the site no longer has."""
        for name, weight in self._weights.weights.items():
            ends = self._view.link_ends(name)
            if ends is None:
                log.warning("the weight of %s is of no use: the site has no such switches now", name)
            else:
                self._take(LinkWeighed(*ends, weight))

    def listed(self, _: Call) -> RestReply:
        return RestReply(self._view.links())

    def one(self, call: Call) -> RestReply:
        found = self._found(call)
        return RestReply(found, tag=tag_of(found))

    def put(self, call: Call) -> RestReply:
        """Set the weight of a link. New sessions are routed by it; live ones stay on their paths."""
        before = self._found(call)
        require_match(call.if_match, tag_of(before))
        weight, name = cast(LinkUpdate, call.body).weight, before["name"]
        ends = self._view.link_ends(name)
        assert ends is not None, "a link in the list has no ends"
        self._weights.put(name, weight)
        self._take(LinkWeighed(*ends, weight))
        return self.one(call)

    def _found(self, call: Call) -> Json:
        wanted = call.path["name"]
        ends = self._view.link_ends(wanted)
        for one in self._view.links()["links"]:
            if ends is not None and self._view.link_ends(one["name"]) == ends:
                found: Json = one
                return found
        raise not_found(f"no link {shown(wanted)}; /v1/links lists them")
