"""A watch of etcd against answers that a real etcd gives only after a long time, or under load."""

from collections.abc import Callable

import pytest

from steering.store.etcd.access import EtcdAccess, EtcdEndpoint, EtcdError, EtcdFault
from steering.store.etcd.gateway import EtcdGateway, EtcdStream, Json
from steering.store.etcd.keys import Delete, Put
from steering.store.etcd.watch import EtcdWatch, KeyChange
from tests.support.fakes.cell_keys import FakeEtcd, FakeKeys


class FailingStreams(EtcdGateway):
    """Every stream fails; `before` is called first."""

    def __init__(self, fault: EtcdFault, before: Callable[[], None]) -> None:
        super().__init__(EtcdAccess((EtcdEndpoint("192.0.2.1", 2379),)))
        self._fault = fault
        self._before = before

    def stream(self, path: str, body: Json, wait: float) -> EtcdStream:
        self._before()
        raise EtcdError(self._fault, "it failed")


def told(fault: EtcdFault, streams: int) -> list[list[KeyChange]]:
    """What is told while so many streams fail, and another key comes before each."""
    etcd = FakeEtcd()
    keys = FakeKeys(etcd)
    watch = EtcdWatch(keys, "")
    found: list[list[KeyChange]] = []
    begun: list[int] = []

    def before() -> None:
        begun.append(len(begun))
        if len(begun) == streams:
            watch.stop()
        FakeKeys(etcd).commit({}, [Put(f"key{len(begun)}", "text")])

    keys.gateway = FailingStreams(fault, before)
    watch.run(found.append)
    return found


def test_a_message_that_is_too_large_has_all_keys_listed_again() -> None:
    assert [[one.key for one in changes] for changes in told(EtcdFault.TOO_LARGE, 3)] == [
        [],
        ["key1"],
        ["key2"],
    ]


def test_an_etcd_that_does_not_answer_has_none_listed_again() -> None:
    assert told(EtcdFault.UNREACHABLE, 3) == [[]]


def test_what_could_not_be_taken_is_told_again_when_the_watch_is_run_again() -> None:
    etcd = FakeEtcd()
    keys = FakeKeys(etcd)
    keys.commit({}, [Put("stays", "text"), Put("goes", "text")])
    watch = EtcdWatch(keys, "")
    found: list[tuple[str, str | None]] = []
    keys.gateway = FailingStreams(EtcdFault.UNREACHABLE, watch.stop)

    def fails(changes: list[KeyChange]) -> None:
        raise KeyError("a defect")

    with pytest.raises(KeyError):
        watch.run(fails)
    keys.commit({}, [Delete("goes")])
    watch.run(lambda changes: found.extend((one.key, one.text) for one in changes))
    assert found == [("goes", None), ("stays", "text")]
