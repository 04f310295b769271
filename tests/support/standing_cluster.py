"""A cluster of three controllers whose state never changes, as controller b knows it."""

from steering.model.cluster import (
    ClusterMember,
    ClusterStatus,
    Grant,
    PeerStatus,
    ShareAssignment,
    ShareMove,
)

STATUS = ClusterStatus(
    "b", False, 7,
    (ClusterMember("a", ""), ClusterMember("b", ""), ClusterMember("c", "")),
    (
        ("s0000", ShareAssignment(Grant("a", 1), (Grant("b", 2),))),
        ("s0001", ShareAssignment(Grant("b", 3), (Grant("a", 4),))),
        ("s0002", ShareAssignment(Grant("a", 5))),
    ),
    (), {"rest-silent": 3}, (PeerStatus("a", True, 5, True, 17), PeerStatus("gone", False, 0, False, 0)),
    streams=("a",),
)  # fmt: skip


class StandingCluster:
    """A cluster whose state stands still."""

    def status(self) -> ClusterStatus:
        return STATUS

    def decides(self) -> bool:
        return True

    def drain(self, controller: str, draining: bool) -> None:
        raise AssertionError("nobody is drained here")

    def rebalance(self, dry_run: bool) -> tuple[ShareMove, ...]:
        raise AssertionError("nothing moves here")
