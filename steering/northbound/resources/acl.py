"""/v1/acl: the live access control list."""

from collections.abc import Callable
from typing import Any, cast

from steering.core.inputs import AclReplaced, Input
from steering.northbound.http.conditional import require_match, tag_of
from steering.northbound.http.exchange import Call, RestReply
from steering.northbound.http.problems import conflict, shown
from steering.northbound.resources.access_updates import AccessUpdates
from steering.northbound.schema.bodies import AclList
from steering.store.lists import AccessLists

Json = dict[str, Any]


class Acl:
    """`give` passes an input to the engine."""

    def __init__(self, updates: AccessUpdates, lists: AccessLists, give: Callable[[Input], None]) -> None:
        self._updates = updates
        self._lists = lists
        self._give = give

    def restore(self) -> None:
        """Give the engine the stored list."""
        self._give(AclReplaced(self._lists.entries()))

    def current(self, _: Call) -> RestReply:
        body = {"entries": self._lists.acl}
        return RestReply(body, tag=tag_of(body))

    def put(self, call: Call) -> RestReply:
        """Replace the whole list. Packets of denied hosts are dropped at their first switch at once (N-5.3b)."""
        require_match(call.if_match, tag_of({"entries": self._lists.acl}))
        wanted = cast(AclList, call.body).model_dump(mode="json")
        names = [entry["name"] for entry in wanted["entries"]]
        if len(set(names)) < len(names):
            raise conflict("two entries have one name")
        known = {access["name"] for access in self._updates.all()}
        for name in sorted({name for entry in wanted["entries"] for name in entry["access"]} - known):
            raise conflict(f"no access network {shown(name)}; /v1/access-networks lists them")
        self._lists.replace_acl(wanted["entries"])
        self.restore()
        return self.current(call)
