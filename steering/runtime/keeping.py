"""Writes down, as it changes, what the next controller needs and no switch holds; reads it at the start.

Reservations are on disk before whoever asked hears the answer; the rest follows within a second. Nothing is synced:
a process that is killed leaves what it wrote to the kernel, and a machine that dies takes its state directory's
/run with it.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from os_ken.lib import hub

from steering.core.engine import Engine
from steering.core.inputs import Input, Restored
from steering.model.kept import Kept, KeptNetwork, KeptReservation, KeptSession, KeptUsage, Lost
from steering.northbound.credentials import CredentialError, StateDirectory
from steering.store.kept import (
    Damaged,
    network_text,
    read_network,
    read_reservations,
    read_usage,
    reservations_text,
    usage_text,
)
from steering.store.sessionlog import SessionLog

LOOK = 1.0  # seconds between looks at what changed
FILES = {"network": "network.json", "reservations": "reservations.json", "usage": "usage.json"}

log = logging.getLogger(__name__)


class Keeper:
    """`forgets`: nothing is read at the start, for a negative control."""

    def __init__(
        self, engine: Engine, state_dir: Path, now: Callable[[], float], forgets: bool = False
    ) -> None:
        self._engine = engine
        self._directory = StateDirectory(state_dir)
        self._sessions = SessionLog(state_dir)
        self._now = now
        self._forgets = forgets
        self._marks: dict[str, int] = {}
        self._failing = False

    # ---- the start ------------------------------------------------------------------------------

    def restore(self, give: Callable[[Input], None]) -> None:
        """What an earlier controller left, to the engine."""
        if not self._forgets:
            kept = self._read()
            give(Restored(kept))
            counts = (len(kept.reservations), len(kept.sessions), len(kept.network.links))
            if any(counts):
                log.info("taken over: %d reservations, %d sessions, %d links", *counts)
        self._marks = {name: mark() for name, mark in self._engine.keeping.marks().items()}

    def _read(self) -> Kept:
        """Each file is a bounded number of records; what is beyond is refused and counted."""
        wall = time.time()
        network: KeptNetwork = self._file("network", read_network, KeptNetwork((), ()))
        reservations: tuple[KeptReservation, ...] = self._file(
            "reservations", lambda text: read_reservations(text, wall), ()
        )
        usage: KeptUsage = self._file("usage", read_usage, KeptUsage((), ()))
        sessions: tuple[KeptSession, ...] = ()
        try:
            sessions, wrong = self._sessions.load()
            self._lose(Lost.RECORD, wrong)
        except OSError as error:
            log.warning("the sessions of an earlier controller cannot be read: %s", error.strerror)
            self._lose(Lost.FILE, 1)
        return Kept(network, reservations, usage, sessions)

    def _file(self, name: str, read: Callable[[str], tuple[Any, int]], empty: Any) -> Any:
        try:
            text = self._directory.load(FILES[name])
            if text is None:
                return empty
            found, wrong = read(text)
        except (Damaged, CredentialError) as error:
            log.warning("%s of an earlier controller is not read: %s", FILES[name], error or "it is damaged")
            self._lose(Lost.FILE, 1)
            return empty
        self._lose(Lost.RECORD, wrong)
        return found

    def _lose(self, what: Lost, how_many: int) -> None:
        if how_many:
            self._engine.counters.not_restored[what] += how_many

    # ---- from then on ---------------------------------------------------------------------------

    def around(self, take: Callable[[Input], None]) -> Callable[[Input], None]:
        """`take`, and what it reserved is written when it comes back."""

        def kept(given: Input) -> None:
            take(given)
            self._save_changed("reservations")

        return kept

    def watch(self) -> None:
        """Runs for ever."""
        while True:
            hub.sleep(LOOK)
            self.save()

    def save(self) -> None:
        """Whatever changed since the last time."""
        for name in FILES:
            self._save_changed(name)
        begun, over = self._engine.keeping.sessions()
        if begun or over:
            self._try(lambda: self._sessions.write(begun, over))
        if self._engine.keeping.finished:
            self._try(self._sessions.forget)

    def _save_changed(self, name: str) -> None:
        mark = self._engine.keeping.marks()[name]()
        if self._marks.get(name) != mark and self._try(lambda: self._save(name)):
            self._marks[name] = mark

    def _save(self, name: str) -> None:
        keeping = self._engine.keeping
        if name == "reservations":
            text = reservations_text(keeping.reservations(self._now()), time.time())
        elif name == "usage":
            text = usage_text(keeping.usage())
        else:
            text = network_text(keeping.network())
        self._directory.save(FILES[name], text)

    def _try(self, write: Callable[[], None]) -> bool:
        """Whether it could be written; the log says once that it cannot."""
        try:
            write()
        except (OSError, CredentialError) as error:
            self._lose(Lost.WRITE, 1)
            if not self._failing:
                log.warning("what outlives this controller cannot be written: %s", error)
            self._failing = True
            return False
        self._failing = False
        return True
