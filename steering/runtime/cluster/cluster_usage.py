"""Quotas of bytes of a cluster, wired: what is counted here is written to etcd, and the engine is told what etcd has."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from os_ken.lib import hub

from steering.cluster.usage_exchange import EACH, UsageContent, UsageExchange
from steering.core.engine import Engine
from steering.core.inputs import Input, UsageTold
from steering.core.snapshots.kept import refused_usage, unwritten_usage, usage_record
from steering.model.cluster import UsageEvent
from steering.model.standing_work import StandingWork
from steering.store.etcd.access import EtcdError
from steering.store.etcd.keys import Keys
from steering.store.etcd.watch import EtcdWatch, KeyChange

EVERYTHING = 1 << 30  # bytes; more than all records have

log = logging.getLogger(__name__)


class EngineUsage:
    """Implements `usage_exchange.UsageCounts` for an engine. `me`: this controller's name. `take` has the application handle an input at
    once."""

    def __init__(self, engine: Engine, me: str, take: Callable[[Input], None]) -> None:
        self._engine = engine
        self._me = me
        self._take = take

    def unwritten(self) -> list[int]:
        return unwritten_usage(self._engine)

    def record(self, part: int) -> UsageContent:
        return usage_record(self._engine, self._me, part)

    def told(self, controller: str, part: int, used: UsageContent) -> None:
        self._take(UsageTold(controller, part, used, False))

    def written(self, part: int, used: UsageContent) -> None:
        self._take(UsageTold(self._me, part, used, True))

    @property
    def refused(self) -> int:
        return refused_usage(self._engine)


class ClusterUsage:
    """`keys`: of the records in etcd. The other arguments are those of EngineUsage."""

    def __init__(self, keys: Keys, me: str, engine: Engine, take: Callable[[Input], None]) -> None:
        self._counts = EngineUsage(engine, me, take)
        self._exchange = UsageExchange(keys, me, self._counts)
        self._watch = EtcdWatch(keys, "")
        self._failing = False

    @property
    def works(self) -> tuple[tuple[StandingWork, Callable[..., None], Any], ...]:
        """The works that go on until `stop`, each in a greenthread of its own, with function and argument."""
        return (
            (StandingWork.FOLLOWING_USAGE, self._watch.run, self._told),
            (StandingWork.WRITING_USAGE, self._write, hub.sleep),
        )

    def stop(self) -> None:
        """Write the bytes that were counted last, and end the works."""
        self._try(lambda: self._exchange.write(hub.sleep, EVERYTHING))
        self._watch.stop()

    def events(self) -> Mapping[UsageEvent, int]:
        no_room = self._exchange.too_large + self._counts.refused
        return {UsageEvent.DAMAGED: self._exchange.damaged, UsageEvent.NO_ROOM: no_room}

    def _told(self, changes: list[KeyChange]) -> None:
        self._exchange.take(changes, self._watch.is_anew, hub.sleep)

    def _write(self, sleep: Callable[[float], None]) -> None:
        while True:
            sleep(EACH)
            self._try(lambda: self._exchange.write(hub.sleep))

    def _try(self, act: Callable[[], None]) -> None:
        try:
            act()
            self._failing = False
        except EtcdError as error:
            if not self._failing:
                log.warning(
                    "what is counted towards quotas of bytes is not written for the moment: %s", error
                )
            self._failing = True
