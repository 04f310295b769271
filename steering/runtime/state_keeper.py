"""Writes the state that the next controller needs and that no switch holds to files whenever it changes, and reads the
files at the start.

Reservations are on disk before their answer is sent; the rest follows within a second. Nothing is synced: the kernel
completes the writes of a killed process, and when a machine dies, the state directory below /run is lost anyway.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from os_ken.lib import hub

from steering.core.counters import Counters
from steering.core.engine import Engine
from steering.core.inputs import Input, Restored
from steering.core.snapshots import kept as snapshots
from steering.model.kept import (
    KeptLease,
    KeptNetwork,
    KeptReservation,
    KeptSession,
    KeptState,
    KeptUsage,
    LostPiece,
    Piece,
)
from steering.model.standing_work import StandingWork
from steering.store.change_log import ChangeLog
from steering.store.interface import StateError
from steering.store.kept import (
    DamagedFile,
    network_text,
    read_network,
    read_reservations,
    read_usage,
    reservations_text,
    usage_text,
)
from steering.store.lease_log import LeaseLog
from steering.store.session_log import SessionLog
from steering.store.state_directory import StateDirectory

LOOK = 1.0  # seconds between checks for changes
FILES: dict[str, str] = {piece: f"{piece}.json" for piece in Piece}

T = TypeVar("T")

log = logging.getLogger(__name__)


class Keeper:
    """Keeps the state. `forgets`: read nothing at the start, for tests that show what is lost then."""

    def __init__(
        self,
        engine: Engine,
        counters: Counters,
        state_dir: Path,
        now: Callable[[], float],
        forgets: bool = False,
    ) -> None:
        self._engine = engine
        self._counters = counters
        self._directory = StateDirectory(state_dir)
        self._sessions = SessionLog(state_dir)
        self._leases = LeaseLog(state_dir, time.time)
        self._now = now
        self._forgets = forgets
        self._saved: dict[Piece, int] = {}  # piece of state -> the revision that was written last
        self._failing = False

    # ---- the start ------------------------------------------------------------------------------

    def restore(self, give: Callable[[Input], None]) -> None:
        """Give the engine what an earlier controller kept."""
        if not self._forgets:
            kept = self._read()
            give(Restored(kept))
            counts = (len(kept.reservations), len(kept.sessions), len(kept.network.links), len(kept.leases))
            if any(counts):
                log.info("taken over: %d reservations, %d sessions, %d links, %d leases", *counts)
        self._saved = {piece: snapshots.revision(self._engine, piece) for piece in Piece}

    def _read(self) -> KeptState:
        """Read the files. At most a bounded number of records is read from each; further records are refused and counted."""
        wall = time.time()
        network: KeptNetwork = self._file(Piece.NETWORK, read_network, KeptNetwork((), ()))
        reservations: tuple[KeptReservation, ...] = self._file(
            Piece.RESERVATIONS, lambda text: read_reservations(text, wall), ()
        )
        usage: KeptUsage = self._file(Piece.USAGE, read_usage, KeptUsage((), ()))
        sessions: tuple[KeptSession, ...] = self._logged("sessions", self._sessions)
        leases: tuple[KeptLease, ...] = self._logged("DHCP leases", self._leases)
        return KeptState(network, reservations, usage, sessions, leases)

    def _logged(self, what: str, kept: ChangeLog[T]) -> tuple[T, ...]:
        try:
            found, wrong = kept.load()
        except StateError as error:
            log.warning("the %s of an earlier controller cannot be read: %s", what, error)
            self._lose(LostPiece.FILE, 1)
            return ()
        self._lose(LostPiece.RECORD, wrong)
        return found

    def _file(self, piece: Piece, read: Callable[[str], tuple[Any, int]], empty: Any) -> Any:
        try:
            text = self._directory.read(FILES[piece])
            if text is None:
                return empty
            found, wrong = read(text)
        except (DamagedFile, StateError) as error:
            log.warning("%s of an earlier controller is not read: %s", FILES[piece], error or "it is damaged")
            self._lose(LostPiece.FILE, 1)
            return empty
        self._lose(LostPiece.RECORD, wrong)
        return found

    def _lose(self, what: LostPiece, how_many: int) -> None:
        if how_many:
            self._counters.not_restored[what] += how_many

    # ---- while it runs --------------------------------------------------------------------------

    def around(self, take: Callable[[Input], None]) -> Callable[[Input], None]:
        """A function that calls `take`, and returns only when new reservations are written."""

        def kept(given: Input) -> None:
            take(given)
            self._save_changed(Piece.RESERVATIONS)

        return kept

    def watch(self) -> None:
        """Runs for ever: writes changes every LOOK seconds."""
        while True:
            hub.sleep(LOOK)
            self.save()

    def save(self) -> None:
        """Write what has changed since the last call. A fault of this program in one part ends no other part."""
        parts = [lambda piece=piece: self._save_changed(piece) for piece in Piece]
        for save in (*parts, self._save_sessions, self._save_leases):
            with self._counters.work_faults.turn(StandingWork.STATE_KEEPING):
                save()

    def _save_sessions(self) -> None:
        begun, over = snapshots.sessions(self._engine)
        if begun or over or self._sessions.owes:
            self._try(lambda: self._sessions.write(begun, over))
        if snapshots.restored(self._engine):
            self._try(self._sessions.forget)

    def _save_leases(self) -> None:
        given, ended = snapshots.leases(self._engine, self._now())
        if given or ended or self._leases.owes:
            self._try(lambda: self._leases.write(given, ended))
        if snapshots.leases_told(self._engine):
            self._try(self._leases.forget)

    def _save_changed(self, piece: Piece) -> None:
        revision = snapshots.revision(self._engine, piece)
        if self._saved.get(piece) != revision and self._try(lambda: self._save(piece)):
            self._saved[piece] = revision

    def _save(self, piece: Piece) -> None:
        kept = snapshots.kept(self._engine, piece, self._now())
        if piece is Piece.RESERVATIONS:
            text = reservations_text(kept.reservations, time.time())
        elif piece is Piece.USAGE:
            text = usage_text(kept.usage)
        else:
            text = network_text(kept.network)
        self._directory.write(FILES[piece], text)

    def _try(self, write: Callable[[], None]) -> bool:
        """Whether a piece could be written. A failure is logged once."""
        try:
            write()
        except StateError as error:
            self._lose(LostPiece.WRITE, 1)
            if not self._failing:
                log.warning("what outlives this controller cannot be written: %s", error)
            self._failing = True
            return False
        self._failing = False
        return True
