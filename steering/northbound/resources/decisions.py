"""/v1/decisions: why an MCP was chosen for a session. /v1/whatif: which MCP a connection would get now."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Any, cast

from steering.model.control import Control, WhatIf
from steering.northbound.http.body import wrong_at
from steering.northbound.http.exchange import MAX_ID, Call, RestReply
from steering.northbound.http.problems import not_found, shown
from steering.northbound.resources.peer_reads import PeerReads
from steering.northbound.schema.bodies import WhatIfQuestion
from steering.northbound.schema.representation import as_json
from steering.northbound.schema.view import View

Json = dict[str, Any]


class Decisions:
    """`now`: the engine's clock, seconds. `pseudonym`: a subscriber's own name -> its pseudonym."""

    def __init__(
        self,
        view: View,
        control: Control,
        now: Callable[[], float],
        pseudonym: Callable[[str], str],
        reads: PeerReads,
    ) -> None:
        self._reads = reads
        self._view = view
        self._control = control
        self._now = now
        self._pseudonym = pseudonym

    def one(self, call: Call) -> RestReply:
        wanted = call.path["id"]
        owner = self._reads.owner(call)
        if owner:
            return self._reads.passed_on(owner, call, "GET", ["decisions", wanted], "Decision")
        found = self._view.decision(wanted) if len(wanted) <= MAX_ID else None
        if found is None:
            raise not_found(f"no decision {shown(wanted)}")
        return RestReply(self._discreet({**found, "age_s": max(0.0, self._now() - found["time_s"])}))

    def whatif(self, call: Call) -> RestReply:
        asked = cast(WhatIfQuestion, call.body)
        # pydantic has made addresses of both texts.
        source = cast(IPv4Address | IPv6Address, asked.source)
        destination = cast(IPv4Address | IPv6Address, asked.destination)
        if source.version != destination.version:
            raise wrong_at("destination", "source and destination are of one address family")
        question = WhatIf(
            source.packed,
            destination.packed,
            asked.port,
            asked.access,
            asked.mptcp_version,
            asked.source_port,
        )
        try:
            found = self._control.whatif(question)
        except KeyError:
            if asked.access is None:
                raise wrong_at("source", "no access network has this address's prefix") from None
            raise wrong_at("access", "no such access network; /v1/access-networks lists them") from None
        return RestReply(self._discreet(as_json(found)))

    def _discreet(self, decision: Json) -> Json:
        """A decision with the pseudonym in place of its subscriber's own name (N-7.1)."""
        name = decision.get("subscriber")
        return decision if name is None else {**decision, "subscriber": self._pseudonym(name)}
