"""One other controller of a cluster, without sessions and events, which answers or does not."""

import json
from collections.abc import Callable, Mapping

from steering.model.cluster import PeerFailure, PeerReply, PeerRequest, nothing_meanwhile

SESSIONS = {"sessions": [], "total": 0, "next": None, "incomplete": []}
EVENTS = {"run": "1badcafe0", "begin": 0, "end": 0, "more": False, "events": []}


class OtherController:
    """Implements steering.model.cluster.ClusterPeers for controller `a`; the other one is `b`. `why`: it does not answer."""

    name = "a"

    def __init__(self) -> None:
        self.why: PeerFailure | None = None

    def others(self) -> tuple[str, ...]:
        return ("b",)

    def ask(
        self,
        requests: Mapping[str, PeerRequest],
        seconds: float,
        meanwhile: Callable[[], None] = nothing_meanwhile,
    ) -> Mapping[str, PeerReply | PeerFailure]:
        meanwhile()
        return {name: self.why or self._answer(request) for name, request in requests.items()}

    def _answer(self, request: PeerRequest) -> PeerReply:
        body = EVENTS if request.target.startswith("/v1/events") else SESSIONS
        return PeerReply(200, json.dumps(body).encode())

    def failed(self, name: str, why: PeerFailure) -> None:
        raise AssertionError(f"{name} answers as the API says, and is refused: {why}")
