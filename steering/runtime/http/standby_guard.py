"""Refuses changes by REST at a controller that does not own the first share: only the owner of the first share takes
changes, and a change elsewhere would be lost. A policy is taken by any member, as all members agree on it."""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from steering.model.cluster import ClusterControl
from steering.northbound.http.problems import MEDIA_TYPE, Problem

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
CLUSTER = "/v1/cluster"  # any member takes orders to the cluster
SESSIONS = "/v1/sessions/"  # an abort of a session is passed on to the session's owner
POLICIES = frozenset({"/v1/policy", "/v1/policy/rollback"})
RETRY_S = 1  # Retry-After in seconds: by then another controller may have taken over

WsgiApplication = Callable[..., Iterable[bytes]]


class StandbyGuard:
    """WSGI middleware: while another controller takes changes, a change gets 503 with that controller's address.
    `passes_aborts`: whether the application passes aborts of sessions on to their owners."""

    def __init__(
        self, application: WsgiApplication, cluster: ClusterControl, passes_aborts: bool = False
    ) -> None:
        self._passes_aborts = passes_aborts
        self._application = application
        self._cluster = cluster

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if (
            environ.get("REQUEST_METHOD") in SAFE
            or path == CLUSTER
            or path.startswith(f"{CLUSTER}/")
            or path in POLICIES
            or (self._passes_aborts and path.startswith(SESSIONS))
            or self._cluster.decides()
        ):
            return self._application(environ, start_response)
        problem = Problem(HTTPStatus.SERVICE_UNAVAILABLE, self._reason())
        body = problem.body()
        headers = [
            ("Content-Type", MEDIA_TYPE),
            ("Content-Length", str(len(body))),
            ("Retry-After", str(RETRY_S)),
        ]
        start_response(f"{int(problem.status)} {problem.status.phrase}", headers)
        return [body]

    def _reason(self) -> str:
        status = self._cluster.status()
        owners = {share.owner.controller for _, share in status.shares[:1]}
        where = [f"{one.id} at {one.address}" for one in status.members if one.id in owners]
        return f"this controller stands by: changes go to {', '.join(where) or 'nobody at the moment'}"
