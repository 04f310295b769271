"""The cluster over REST: who is there and who decides, orders to it, and what a standby answers to changes."""

import json
from typing import Any

import pytest
from webob import Request

from steering.model.cluster import (
    ClusterMember,
    ClusterStatus,
    ClusterUnreachable,
    Grant,
    PeerStatus,
    Rebalance,
    RebalanceRefusal,
    ShareAssignment,
    ShareMove,
)
from steering.model.identity import Role
from steering.runtime.http.standby_guard import StandbyGuard
from tests.support.fixed_view import TOKEN, north, token_of

STATUS = ClusterStatus(
    "b", True, 7,
    (ClusterMember("a", "http://10.0.0.1:8080", 1, True), ClusterMember("b", "http://10.0.0.2:8080", 2)),
    (("s0000", ShareAssignment(Grant("a", 1), (Grant("b", 2),))),),
    (("s1", "slave"),), {"taken-over": 3}, (PeerStatus("a", True, 5, True, 0),),
    Rebalance("s0000", "b"), gave_up=Rebalance("s0002", "a"), unheard=("b",),
)  # fmt: skip


class Cell:
    """A cluster that notes orders."""

    def __init__(self, decides: bool = False, reached: bool = True) -> None:
        self.orders: list[tuple[str, bool]] = []
        self._decides, self._reached = decides, reached

    def status(self) -> ClusterStatus:
        return STATUS

    def decides(self) -> bool:
        return self._decides

    def drain(self, controller: str, draining: bool) -> None:
        if not self._reached:
            raise ClusterUnreachable("etcd cannot be reached")
        self.orders.append((controller, draining))

    def rebalance(self, dry_run: bool) -> tuple[ShareMove, ...]:
        if not self._reached:
            raise ClusterUnreachable("etcd cannot be reached")
        if self._decides:
            raise RebalanceRefusal("nothing is to be done")
        if not dry_run:
            self.orders.append(("rebalance", True))
        return (ShareMove("s0000", "a", "b"),)


def ask(cell: Cell | None, method: str, path: str, token: str = TOKEN, guarded: bool = False) -> Any:
    application: Any = north(cluster=cell).application
    if guarded:
        assert cell is not None
        application = StandbyGuard(application, cell)
    request = Request.blank(path, method=method, headers={"Authorization": f"Bearer {token}"})
    return request.get_response(application)


def test_members_shares_and_roles_are_told() -> None:
    told = ask(Cell(), "GET", "/v1/cluster").json
    assert told["controller"] == "b" and told["etcd"] and told["revision"] == 7
    assert [(one["name"], one["draining"]) for one in told["members"]] == [("a", True), ("b", False)]
    assert told["shares"] == [
        {"name": "s0000", "owner": "a", "generation": 1, "standbys": [{"name": "b", "generation": 2}]}
    ]
    assert told["switches"] == [{"name": "s1", "role": "slave"}] and told["events"] == {"taken-over": 3}
    assert told["peers"] == [{"name": "a", "reached": True, "tokens": 5, "whole": True, "unread": 0}]
    assert told["rebalance"] == {"share": "s0000", "taker": "b"}
    assert told["gave_up"] == {"share": "s0002", "taker": "a"}
    assert told["unheard"] == ["b"]


def test_one_controller_alone_says_so() -> None:
    told = ask(None, "GET", "/v1/cluster").json
    assert told["controller"] is None and told["members"] == told["shares"] == []
    assert ask(None, "POST", "/v1/cluster/a/drain").status_int == 404


def test_orders_are_an_operators_and_name_a_member() -> None:
    cell = Cell()
    assert ask(cell, "POST", "/v1/cluster/a/drain").status_int == 202
    assert ask(cell, "POST", "/v1/cluster/a/undrain").json == {
        "name": "a",
        "draining": False,
        "changed": True,
    }
    assert cell.orders == [("a", True), ("a", False)]
    assert ask(cell, "POST", "/v1/cluster/x/drain").status_int == 404
    assert ask(cell, "POST", "/v1/cluster/a/drain", token_of(Role.READER)).status_int == 403
    assert len(cell.orders) == 2


def test_without_etcd_an_order_is_503_with_the_reason() -> None:
    answer = ask(Cell(reached=False), "POST", "/v1/cluster/a/drain")
    assert answer.status_int == 503 and "etcd cannot be reached" in answer.json["detail"]


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
def test_a_standby_sends_changes_to_who_decides(method: str) -> None:
    answer = ask(Cell(), method, "/v1/acl", guarded=True)
    assert answer.status_int == 503 and answer.headers["Retry-After"]
    told = json.loads(answer.body)
    assert answer.content_type == "application/problem+json"
    assert told["detail"] == "this controller stands by: changes go to a at http://10.0.0.1:8080"


def test_a_standby_answers_questions_and_orders_to_the_cluster() -> None:
    cell = Cell()
    assert ask(cell, "GET", "/v1/health", guarded=True).status_int == 200
    assert ask(cell, "POST", "/v1/cluster/a/drain", guarded=True).status_int == 202
    assert ask(cell, "POST", "/v1/clusters", guarded=True).status_int == 503


@pytest.mark.parametrize(("method", "path"), [("PUT", "/v1/policy"), ("POST", "/v1/policy/rollback")])
def test_a_policy_is_taken_by_any_member(method: str, path: str) -> None:
    """All agree on it. The clock of rules is each controller's own, and nothing else is agreed on so."""
    assert ask(Cell(), method, path, guarded=True).status_int not in (200, 503)  # the request has no body
    assert ask(Cell(), "PUT", "/v1/policy/clock", guarded=True).status_int == 503


def test_who_decides_takes_changes() -> None:
    assert ask(Cell(decides=True), "DELETE", "/v1/mcps/nobody", guarded=True).status_int != 503


def test_a_rebalance_says_what_moves_and_a_dry_run_orders_nothing() -> None:
    cell = Cell()
    answer = ask(cell, "POST", "/v1/cluster/rebalance?dry_run=1")
    moves = [{"share": "s0000", "giver": "a", "taker": "b"}]
    assert answer.status_int == 202 and answer.json == {"dry_run": True, "moves": moves}
    assert cell.orders == []
    assert ask(cell, "POST", "/v1/cluster/rebalance", guarded=True).json == {"dry_run": False, "moves": moves}
    assert cell.orders == [("rebalance", True)]
    assert ask(cell, "POST", "/v1/cluster/rebalance", token_of(Role.READER)).status_int == 403


def test_a_rebalance_is_refused_with_the_reason() -> None:
    refused = ask(Cell(decides=True), "POST", "/v1/cluster/rebalance")
    assert refused.status_int == 409 and refused.json["detail"] == "nothing is to be done"
    assert ask(Cell(reached=False), "POST", "/v1/cluster/rebalance").status_int == 503
    assert ask(None, "POST", "/v1/cluster/rebalance").status_int == 404
