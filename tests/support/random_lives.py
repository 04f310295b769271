"""A network with two MCPs in which sessions begin and end at random, and whose MCPs say what is true of them: late, twice, and
with restarts between. At the end the controller has to know exactly the sessions that live."""

from random import Random
from typing import Any

from steering.core.inputs import (
    AbortSession,
    CountersRead,
    FinSeen,
    McpAdmin,
    ObservedEntry,
    PolicyReplaced,
    PortStatus,
    SweepRead,
)
from steering.core.outputs import Output, ReadCounters, SweepEntries
from steering.core.sessions.flow_key import FlowKey, flow_key
from steering.core.sessions.records import Session
from steering.model.ids import McpId
from steering.model.policy import Policy, Timers
from steering.northbound.resources.session_reports import told
from steering.wire.crypto import token as token_of
from steering.wire.handshake import Kind
from tests.support.relay_word import STATE, RelayWord, entries, fins, read
from tests.support.sites import FIN, SERVER, UE_LTE, UE_WLAN, Driver, answer, capable, handshake, join, packed

POLICY = Policy(max_stretch=9, timers=Timers(half_open=5.0, session_linger=8.0))
PORTS, JOIN_PORTS = (1, 2, 3, 4), (61, 62, 63)
STEP, REPORTS_EVERY = 0.05, 8  # seconds of a tick; ticks between the reports of an MCP
SETTLED = 600  # ticks after which nothing is under way any more
HEARD = (4, 320)  # packets and bytes of a host that has taken its session up


def flow_of(port: int, src: str = UE_LTE) -> FlowKey:
    return flow_key(packed(src), packed(SERVER), port, 5201)


class RandomLives:
    """Call `run`, then compare `live` with the controller's table. `lossy`: some copies of SYN/ACKs do not come."""

    def __init__(self, seed: int, lossy: bool) -> None:
        self.chance = Random(seed)
        self.lossy = lossy
        self.driver = Driver(policy=POLICY)
        self.names = {mcp.id: mcp.name for mcp in self.driver.site.mcps}
        self.relays = {number: RelayWord(self.driver, name) for number, name in self.names.items()}
        self.live: dict[int, tuple[int, int | None, McpId]] = {}  # port -> the MCP's number, token, MCP
        self._runs = dict.fromkeys(self.names, 1)
        self._told: list[tuple[McpId, dict[str, Any]]] = []  # earlier batches
        self._begun = self._ticks = 0
        self._report()

    def run(self, steps: int) -> None:
        doings = [
            *6 * [self.begin], *3 * [self.end], *6 * [self.tell], *8 * [self.tick], self.tell_again,
            *4 * [self.join], *2 * [self.end_join], self.drain, self.policy, self.abort,
        ]  # fmt: skip
        doings += [one for one in (self.restart, self.lose_port) if self.chance.random() < 0.3]
        for _ in range(steps):
            self.chance.choice(doings)()
        for _ in range(SETTLED):
            self.tick()

    # ---- time -----------------------------------------------------------------------------------

    def tick(self) -> None:
        self._ticks += 1
        self._answer(self.driver.later(STEP))
        if self._ticks % REPORTS_EVERY == 0:
            self._report()

    def _report(self) -> None:
        for relay in self.relays.values():
            relay.tell()

    def _answer(self, outputs: list[Output]) -> None:
        """Switches tell what entries have counted: each host has taken its sessions up, and is silent since."""
        for one in outputs:
            if isinstance(one, ReadCounters):
                counted = [ObservedEntry(entry, *HEARD) for entry in one.entries]
                self._answer(self.driver.give(CountersRead(one.dpid, counted)))
            elif isinstance(one, SweepEntries):
                held = [ObservedEntry(entry, *HEARD) for entry in entries(self.driver, one.dpid)]
                whole = one.shares == 1
                self._answer(self.driver.give(SweepRead(one.dpid, held, True, whole, self.driver.now)))

    # ---- hosts ----------------------------------------------------------------------------------

    def begin(self) -> None:
        """A host opens a connection on a port that it does not use, perhaps since a moment ago."""
        port = self.chance.choice(PORTS)
        if port in self.live:
            return
        self._begun += 1
        key = b"" if self.chance.random() < 0.3 else self._begun.to_bytes(8, "big")
        opening = capable(UE_LTE, port, seq=100_000 * self._begun)
        self.driver.syn(1, 1, opening)
        session = self._session(port)
        if session is None or self.driver.engine.sessions.aborted.gone(session.mcp):
            return
        mcp = session.mcp
        if not (self.lossy and self.chance.random() < 0.3):
            place = self.driver.engine.map.inside[mcp].port
            self.driver.syn_ack(place.dpid, place.port, answer(opening, key))
        token = int.from_bytes(token_of(1, key), "big") if key else None
        self.live[port] = self.relays[mcp].begin(token, port), token, mcp
        if self.chance.random() < 0.3:
            self._end(port)

    def end(self) -> None:
        if self.live:
            self._end(self.chance.choice(list(self.live)))

    def _end(self, port: int) -> None:
        number, _, mcp = self.live.pop(port)
        how, seen = self.chance.choice(("orderly", "orderly", "reset")), self.chance.random() < 0.5
        session = self._session(port)
        if how == "orderly" and seen and session is not None and session.first == flow_of(port):
            fins(self.driver, session)
        self.relays[mcp].end(number, how)

    def join(self) -> None:
        joinable = [(token, mcp) for _, token, mcp in self.live.values() if token is not None]
        if not joinable:
            return
        token, mcp = self.chance.choice(joinable)
        self._begun += 1
        opening = join(
            UE_WLAN, self.chance.choice(JOIN_PORTS), token.to_bytes(4, "big"), seq=100_000 * self._begun
        )
        self.driver.syn(2, 1, opening)
        if self.chance.random() < 0.8:
            place = self.driver.engine.map.inside[mcp].port
            self.driver.syn_ack(place.dpid, place.port, answer(opening, b"")._replace(kind=Kind.JOIN))

    def end_join(self) -> None:
        port = self.chance.choice(JOIN_PORTS)
        subflow = self.driver.table.flows.get(flow_of(port, UE_WLAN))
        if subflow is not None:
            there = handshake(UE_WLAN, port, flags=FIN)
            back = there._replace(src=there.dst, dst=there.src, sport=there.dport, dport=there.sport)
            place = self.driver.engine.map.inside[subflow.session.mcp].port
            self.driver.give(FinSeen(2, 1, there))
            self.driver.give(FinSeen(place.dpid, place.port, back))

    def _session(self, port: int) -> Session | None:
        subflow = self.driver.table.flows.get(flow_of(port))
        return None if subflow is None else subflow.session

    # ---- MCPs and the operator ------------------------------------------------------------------

    def tell(self) -> None:
        mcp = self.chance.choice(list(self.names))
        self._told.append((mcp, self.relays[mcp].ledger.batch(STATE)))
        self.relays[mcp].tell()

    def tell_again(self) -> None:
        """A request that hung comes late."""
        if self._told:
            mcp, batch = self.chance.choice(self._told[-6:])
            self.driver.give(told(mcp, read(batch)))

    def restart(self) -> None:
        self._restart(self.chance.choice(list(self.names)))
        self._report()

    def _restart(self, mcp: McpId) -> None:
        self._runs[mcp] += 1
        self.live = {port: one for port, one in self.live.items() if one[2] != mcp}
        self.relays[mcp] = RelayWord(self.driver, self.names[mcp], generation=self._runs[mcp])

    def lose_port(self) -> None:
        """An MCP's port has no link for a while. Within the grace its sessions live."""
        mcp = self.chance.choice(self.driver.site.mcps)
        seconds = self.chance.choice((0.1, 0.5, 7.0))
        self.driver.give(PortStatus(mcp.inside.dpid, mcp.inside.port, False))
        if seconds > 0.2:
            self._restart(mcp.id)
        for _ in range(round(seconds / STEP)):
            self.tick()
        self.driver.give(PortStatus(mcp.inside.dpid, mcp.inside.port, True))
        self.tick()

    def drain(self) -> None:
        self.driver.give(McpAdmin(self.chance.choice(list(self.names)), self.chance.random() < 0.5))

    def policy(self) -> None:
        self.driver.give(PolicyReplaced(self.driver.engine.policy))

    def abort(self) -> None:
        if not self.live:
            return
        port = self.chance.choice(list(self.live))
        number, token, mcp = self.live[port]
        session = self._session(port)
        if (
            session is not None
            and session.first == flow_of(port)
            and session.token == (-1 if token is None else token)
        ):
            del self.live[port]
            self.driver.give(AbortSession(session.id))
            self.relays[mcp].end(number, "reset")
