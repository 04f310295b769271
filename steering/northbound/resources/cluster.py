"""/v1/cluster: the controllers of a cluster, the owner of each share of switches, drain and rebalancing."""

from http import HTTPStatus
from typing import Any

from steering.model.cluster import ClusterControl, ClusterUnreachable, RebalanceRefusal
from steering.northbound.http.exchange import Call, RestReply
from steering.northbound.http.problems import Problem, conflict, not_found, shown

Json = dict[str, Any]
ALONE: Json = {
    "controller": None, "etcd": None, "revision": 0, "members": [], "shares": [], "switches": [], "events": {},
    "peers": [], "rebalance": None, "gave_up": None, "unheard": [],
}  # fmt: skip


class ClusterResource:
    """`cluster`: None for a controller that runs without --cluster."""

    def __init__(self, cluster: ClusterControl | None) -> None:
        self._cluster = cluster

    def current(self, _: Call) -> RestReply:
        if self._cluster is None:
            return RestReply(ALONE)
        told = self._cluster.status()
        return RestReply(
            {
                "controller": told.controller,
                "etcd": told.reached,
                "revision": told.revision,
                "members": [
                    {
                        "name": one.id,
                        "address": one.address,
                        "capacity": one.capacity,
                        "draining": one.draining,
                    }
                    for one in told.members
                ],
                "shares": [
                    {
                        "name": name,
                        "owner": share.owner.controller,
                        "generation": share.owner.generation,
                        "standbys": [
                            {"name": one.controller, "generation": one.generation} for one in share.standbys
                        ],
                    }
                    for name, share in told.shares
                ],
                "switches": [{"name": name, "role": role} for name, role in told.roles],
                "events": dict(told.events),
                "peers": [one._asdict() for one in told.peers],
                "rebalance": None if told.rebalance is None else told.rebalance._asdict(),
                "gave_up": None if told.gave_up is None else told.gave_up._asdict(),
                "unheard": list(told.unheard),
            }
        )

    def drain(self, call: Call) -> RestReply:
        return self._order(call, True)

    def undrain(self, call: Call) -> RestReply:
        return self._order(call, False)

    def rebalance(self, call: Call) -> RestReply:
        """Order a rebalancing, or with `dry_run` only list its moves. Raises Problem 404 without a cluster, 409 with the reason
        where nothing has to move or a move is not possible now, and 503 where etcd does not answer."""
        if self._cluster is None:
            raise not_found("this controller is alone: it was started without --cluster")
        dry_run = call.query["dry_run"]
        try:
            moves = self._cluster.rebalance(dry_run)
        except RebalanceRefusal as refused:
            raise conflict(str(refused)) from None
        except ClusterUnreachable as error:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from None
        body = {"dry_run": dry_run, "moves": [one._asdict() for one in moves]}
        return RestReply(body, status=int(HTTPStatus.ACCEPTED))

    def _order(self, call: Call, draining: bool) -> RestReply:
        name = call.path["name"]
        members = {} if self._cluster is None else {one.id: one for one in self._cluster.status().members}
        if self._cluster is None or name not in members:
            raise not_found(f"no controller {shown(name)} in this cluster")
        try:
            self._cluster.drain(name, draining)
        except ClusterUnreachable as error:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from None
        changed = members[name].draining != draining
        body = {"name": name, "draining": draining, "changed": changed}
        return RestReply(body, status=int(HTTPStatus.ACCEPTED))
