"""A simulated relay that tells an engine of its sessions: a relay's real ledger, read as REST reads its batches."""

import json
from typing import Any

from steering.core.inputs import FinSeen, ObservedEntry, SweepRead
from steering.core.outputs import Output, RemoveEntries, SweepEntries
from steering.core.sessions.records import Session
from steering.model.network import PortRole
from steering.model.session import Entry
from steering.northbound.resources.session_reports import told
from steering.northbound.schema.report_bodies import SessionBatch
from steering.relay.controller.session_ledger import SessionLedger
from steering.relay.model import Endpoint
from tests.support.sites import FIN, SERVER, UE_LTE, Driver, handshake

STATE = {
    "health": "up", "load": 0.0, "sessions": 0, "most_sessions": 4_000, "accepted": 0, "fallback": 0,
    "dial_failed": 0, "refused": 0,
}  # fmt: skip


class RelayWord:
    """The relay of one MCP. `begin` and `end` write down what happened, `tell` sends it. `refused`: batches that the
    engine did not take; after each the whole set is told, as a relay does that is answered 409."""

    def __init__(self, driver: Driver, mcp: str = "core", generation: int = 1) -> None:
        self.driver = driver
        self.mcp = next(one.id for one in driver.engine.site.mcps if one.name == mcp)
        self.ledger = SessionLedger(f"{generation:016x}")
        self.refused = 0
        self.outputs: list[Output] = []

    def begin(self, token: int | None, sport: int, src: str = UE_LTE) -> int:
        return self.ledger.begin(token, Endpoint(src, sport), Endpoint(SERVER, 5201), 1.0)

    def has(self, session: Session) -> int:
        """It serves this session."""
        return self.begin(session.token if session.token >= 0 else None, session.flow.source_port)

    def end(self, number: int, how: str = "orderly") -> None:
        self.ledger.end(number, how, 2.0)

    def tell(self) -> list[Output]:
        """All that waits; at least load and health. What comes out of the engine."""
        found: list[Output] = []
        for _ in range(1_000):
            batch = self.ledger.batch(STATE)
            found += self.driver.give(told(self.mcp, read(batch)))
            taken = self.driver.engine.sessions.reports.taken(self.mcp)
            if taken != (batch["generation"], batch["sequence"]):
                self.refused += 1
                self.ledger.start_over()
                if self.refused % 2:
                    continue
                return found  # asked again a second later
            self.ledger.accepted()
            if not self.ledger.waiting:
                return found
        raise AssertionError("a report without end")

    def later(self, seconds: float, *, moving: bool = False) -> list[Output]:
        """Time goes by, a tenth of a second at a time; each second the relay tells that it is there, and switches answer
        what they are asked. `moving`: all entries count packets meanwhile."""
        found: list[Output] = []
        for step in range(round(seconds * 10)):
            outputs = self.driver.later(0.1)
            if step % 10 == 9:
                outputs = [*outputs, *self.tell()]
            found += outputs
            for asked in [one for one in outputs if isinstance(one, SweepEntries)]:
                count = int(self.driver.now * 10) if moving else 5
                held = [ObservedEntry(entry, count) for entry in entries(self.driver, asked.dpid)]
                found += self.driver.give(
                    SweepRead(asked.dpid, held, True, asked.shares == 1, self.driver.now)
                )
        return found


def read(batch: dict[str, Any]) -> SessionBatch:
    """A batch as REST reads it from its bytes."""
    return SessionBatch.model_validate_json(json.dumps(batch))


def entries(driver: Driver, dpid: int) -> list[Entry]:
    """What a switch holds of all sessions."""
    return [
        entry for session in driver.table for entry in session.entries(PortRole.GATEWAY) if entry.dpid == dpid
    ]


def removed(outputs: list[Output]) -> set[Entry]:
    """Entries that are taken out of switches."""
    return {entry for one in outputs if isinstance(one, RemoveEntries) for entry in one.entries}


def fins(driver: Driver, session: Session) -> None:
    """Both ends close the initial subflow, and the network sees it."""
    place = driver.engine.map.inside[session.mcp].port
    there = handshake(UE_LTE, session.flow.source_port, flags=FIN)
    back = there._replace(src=there.dst, dst=there.src, sport=there.dport, dport=there.sport)
    driver.give(FinSeen(1, 1, there))
    driver.give(FinSeen(place.dpid, place.port, back))
