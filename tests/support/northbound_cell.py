"""Northbounds of several controllers in one process, each asking the others by their own applications."""

from collections.abc import Callable, Mapping
from typing import Any

from webob import Request, Response

from steering.core.inputs import AbortSession
from steering.model.cluster import PeerFailure, PeerReply, PeerRequest, nothing_meanwhile
from steering.model.session_change import ChangedSessions
from steering.model.view import SessionFilter
from steering.northbound.composition import Northbound
from tests.support.fixed_answers import DECISION, HEAD, Json
from tests.support.fixed_view import CLOCK, TOKEN, FixedView, north
from tests.support.noted_control import Noted


class NumberedView(FixedView):
    """A controller with `count` sessions: NAME:1, NAME:2 and so on; that at MCP `edge` are every third. `searching`: happens when
    they are asked for."""

    def __init__(self, name: str, count: int) -> None:
        super().__init__(count)
        self.name = name
        self.searching: Callable[[], None] = lambda: None

    def sessions(
        self, after: int, limit: int, wanted: SessionFilter, pause: Any = None
    ) -> tuple[list[Json], int, int | None]:
        self.searching()
        told, total, more = super().sessions(after, limit, wanted, pause)
        return [one | {"id": one["id"].replace("m-", f"{self.name}:")} for one in told], total, more

    def changed_sessions(self, most: int) -> ChangedSessions:
        changes, omitted = super().changed_sessions(most)
        own = (one._replace(id=one.id.replace("m-", f"{self.name}:")) for one in changes)
        return ChangedSessions(tuple(own), omitted)

    def session(self, session_id: str) -> Json | None:
        _, _, number = session_id.rpartition(":")
        if not number.isdecimal() or not 1 <= int(number) <= self.count:
            return None
        own = f"{self.name}:{number}"
        return {**HEAD, "id": own, "subflows": [], "decision": f"{self.name}:d-1"}

    def paths(self, session_id: str) -> Json | None:
        found = self.session(session_id)
        return None if found is None else {"id": found["id"], "mcp": "core", "subflows": [], "onward": []}

    def decision(self, decision_id: str) -> Json | None:
        return {**DECISION, "id": decision_id} if decision_id == f"{self.name}:d-1" else None

    def aborted(self, session_id: str) -> Json | None:
        found = self.session(session_id)
        return None if found is None else {"id": found["id"], "over": True, "ends": []}


class NorthboundCell:
    """`sessions`: how many each controller has. `silent`: who answers nothing; `lies`: by controller, what it answers in place
    of the truth. `asked`: what each was asked by others. `now`: everybody's clock. `pause`: happens where others have their turn, `answering`
    when others have answered, before the asking one knows."""

    def __init__(self, **sessions: int) -> None:
        self.names = sorted(sessions)
        self.now = CLOCK
        self.pause: Callable[[], None] = lambda: None
        self.answering: Callable[[], None] = lambda: None
        self.silent: dict[str, PeerFailure] = {}
        self.lies: dict[str, PeerReply] = {}
        self.asked: list[tuple[str, PeerRequest]] = []
        self.controls = {name: Noted() for name in sessions}
        self.failures: list[tuple[str, PeerFailure]] = []
        self.views = {name: NumberedView(name, count) for name, count in sessions.items()}
        self.north: dict[str, Northbound] = {}
        for name in self.names:
            self.starts(name)

    def starts(self, name: str, epoch: str = "0badcafe") -> None:
        """A controller's northbound begins, for the first time or anew."""
        self.north[name] = north(
            self.views[name], control=self.controls[name], peers=CellPeers(self, name), now=lambda: self.now,
            epoch=epoch, heartbeat=0.001, pause=lambda: self.pause(),
        )  # fmt: skip

    def look(self, seconds: float = 0.5) -> None:
        """Time goes by, and each does what it does twice a second."""
        self.now += seconds
        for one in self.north.values():
            one.watcher.look()
        for one in self.north.values():
            one.gather()

    def get(self, name: str, path: str, token: str = TOKEN, method: str = "GET") -> Response:
        """An answer of one of them to a client."""
        headers = {"Authorization": f"Bearer {token}"}
        return Request.blank(path, method=method, headers=headers).get_response(self.north[name].application)

    def ids(self, name: str, path: str) -> list[str]:
        return [one["id"] for one in self.get(name, path).json["sessions"]]

    def aborts(self, name: str) -> list[int]:
        return [one.session for one in self.controls[name].given if isinstance(one, AbortSession)]


class CellPeers:
    """Implements steering.model.cluster.ClusterPeers for one controller of a NorthboundCell."""

    def __init__(self, cell: NorthboundCell, name: str) -> None:
        self.name = name
        self._cell = cell

    def others(self) -> tuple[str, ...]:
        return tuple(name for name in self._cell.names if name != self.name)

    def ask(
        self,
        requests: Mapping[str, PeerRequest],
        seconds: float,
        meanwhile: Callable[[], None] = nothing_meanwhile,
    ) -> Mapping[str, PeerReply | PeerFailure]:
        assert 0 < seconds <= 1.0
        found = {name: self._answer(name, request) for name, request in requests.items()}
        meanwhile()
        self._cell.answering()
        return found

    def _answer(self, name: str, request: PeerRequest) -> PeerReply | PeerFailure:
        self._cell.asked.append((name, request))
        if name in self._cell.silent:
            return self._cell.silent[name]
        if name in self._cell.lies:
            return self._cell.lies[name]
        return self._cell.north[name].application.for_peer(self.name, request)

    def failed(self, name: str, why: PeerFailure) -> None:
        self._cell.failures.append((name, why))
