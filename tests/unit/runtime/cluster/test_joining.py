"""A controller that becomes a member: what it does from its first stream on is watched."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from steering.model.cluster import ClusterMember
from steering.model.standing_work import WorkFaults
from steering.runtime.cluster.cluster import Cluster
from steering.runtime.cluster.peer_places import PrivateSockets


class Streams:
    """`begun_with`: where faults were counted when the streams began. `dialled`: the members that they were told, None for none yet."""

    def __init__(self, folder: Path) -> None:
        self.private = PrivateSockets(folder)
        self.works = WorkFaults()
        self.begun_with: WorkFaults | None = None
        self.dialled: set[str] | None = None

    def start_private(self) -> None:
        self.begun_with = self.works

    def members(self, places: Mapping[str, Any]) -> None:
        self.dialled = set(places)


def test_faults_of_streams_are_counted_where_the_controller_tells_of_them(tmp_path: Path) -> None:
    one: Any = Cluster.__new__(Cluster)  # without an etcd
    one.streams = streams = Streams(tmp_path)
    one.coordination = SimpleNamespace(
        me=ClusterMember("a", ""), join=lambda: None, cell=SimpleNamespace(members={"a": None})
    )
    faults = WorkFaults()
    one.join("http://192.0.2.1:8080", str, faults)
    assert streams.begun_with is faults


def test_nobody_is_dialled_before_there_is_an_application(tmp_path: Path) -> None:
    """What a stream brings is for the application: before, it would be lost."""
    one: Any = Cluster.__new__(Cluster)  # without an etcd
    one.streams, one.owners, one.roles = Streams(tmp_path), None, None
    one.coordination = SimpleNamespace(
        cell=SimpleNamespace(shares={}, present=lambda: [ClusterMember("b", "")])
    )
    one._changed()
    assert one.streams.dialled is None
    one.roles = SimpleNamespace(look=lambda: None)
    one._changed()
    assert one.streams.dialled == {"b"}
