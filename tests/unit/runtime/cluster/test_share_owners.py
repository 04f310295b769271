"""Who decides where, as the engine and the lines to switches are told of it."""

from types import SimpleNamespace
from typing import Any

from steering.core.peer_facts import ClusterChanged, PeerLost, PeerTold, PeerUp
from steering.model.ids import DatapathId
from steering.openflow.peers.peer_traffic import PeerTraffic
from steering.runtime.cluster.peer_conversation import PeerFault
from steering.runtime.cluster.share_owners import ShareOwners, events_of
from steering.wire.peer_messages import SwitchWrite

S1, S2, S3 = (DatapathId(n) for n in (1, 2, 3))


class Told:
    """`owners`: what is agreed on; `there`: members. `heard`: what the engine is told, `lines`: what the lines are."""

    def __init__(self) -> None:
        self.owners = {S1: "a", S2: "b", S3: ""}
        self.there = ["a", "b"]
        self.masters = {S1}
        self.heard: list[Any] = []
        self.lines: list[Any] = []
        coordination: Any = SimpleNamespace(
            me=SimpleNamespace(id="a"),
            owner_of=self.owners.__getitem__,
            cell=SimpleNamespace(present=lambda: [SimpleNamespace(id=one) for one in self.there]),
        )
        traffic: Any = SimpleNamespace(
            shared=lambda changed, reached: self.lines.append((changed.owners, reached))
        )
        self.told = ShareOwners(
            coordination, lambda: self.owners, lambda: self.masters, self.heard.append, traffic
        )

    def news(self) -> list[Any]:
        found, self.heard[:] = list(self.heard), []
        return found


def test_what_is_as_before_is_told_once() -> None:
    told = Told()
    told.told.look()
    told.told.look()
    assert told.news() == [ClusterChanged("a", frozenset({"b"}), {S1: "a", S2: "b"})]


def test_a_switch_that_still_obeys_this_controller_is_its_own() -> None:
    told = Told()
    told.owners[S1] = "b"
    told.told.look()
    assert told.news()[0].owners == {S1: "a", S2: "b"}
    told.masters.clear()
    told.told.look()
    assert told.news()[0].owners == {S1: "b", S2: "b"}
    assert told.lines[-1] == ({S1: "b", S2: "b"}, frozenset())


def test_who_is_reached_is_told_after_it_is_known_as_a_member() -> None:
    told = Told()
    told.there = ["a"]  # etcd has not told of b yet
    told.owners[S2] = ""
    told.told.heard(PeerUp("b"))
    assert told.news() == [ClusterChanged("a", frozenset(), {S1: "a"})]
    told.there = ["a", "b"]
    told.told.look()
    assert told.news() == [ClusterChanged("a", frozenset({"b"}), {S1: "a"}), PeerUp("b")]


def test_who_is_lost_is_a_member_for_as_long_as_it_has_switches() -> None:
    """Until someone has its switches, a join that nobody knows may be of one of its sessions."""
    told = Told()
    told.told.heard(PeerUp("b"))
    told.news()
    told.told.heard(PeerLost("b"))
    assert told.news() == [PeerLost("b"), ClusterChanged("a", frozenset({"b"}), {S1: "a", S2: "b"})]
    told.owners[S2] = "a"
    told.told.look()
    assert told.news() == [ClusterChanged("a", frozenset(), {S1: "a", S2: "a"})]
    told.told.heard(PeerUp("b"))
    assert told.news()[-1] == PeerUp("b")


def test_a_switch_that_another_one_had_meanwhile_is_given_up_and_taken_over() -> None:
    told = Told()
    told.told.look()
    told.news()
    told.masters.clear()  # it obeys nobody whom this controller knows, and etcd says that it is this one's
    told.told.taken_back(S1)
    members = frozenset({"b"})
    changes = [ClusterChanged("a", members, {S2: "b"}), ClusterChanged("a", members, {S1: "a", S2: "b"})]
    assert told.news() == changes
    assert [owners for owners, _ in told.lines[-2:]] == [one.owners for one in changes]
    told.told.look()
    assert not told.news()


def test_what_was_refused_of_others_is_told_by_name() -> None:
    told: list[Any] = []
    traffic = PeerTraffic(
        {}, told.append, lambda: None, lambda *_: None, iter(range(1, 9)), lambda given: None
    )
    faults = {PeerFault.SILENT: 2, PeerFault.CLOSED: 0}
    assert events_of(faults, traffic) == events_of(faults, None) == {"stream-silent": 2}
    assert traffic.takes(PeerTold("b", SwitchWrite(5, S1, True, b"\4\x14\0\x08\0\0\0\1")), 1.0)
    assert events_of({}, traffic) == {"write-refused": 1} and len(told) == 1
