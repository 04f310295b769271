"""A session with as many subflows as it may have: from port 40000 over LTE, from 50001 and 50002 over WLAN. A further join needs the slot of
one of them. The functions tell the engine what happens to these subflows."""

from steering.core.inputs import FinSeen, PortStatus
from steering.core.outputs import SendFrame
from steering.core.packet_inputs import NeighbourSeen
from steering.core.sessions.lost_subflows import SILENT_SWEEPS
from steering.model.policy import Limits, Policy
from steering.wire.handshake import Kind
from tests.support.sites import FIN, UE_WLAN, Driver, answer, join, packed
from tests.support.swept_subflows import moved, ports

POLICY = Policy(limits=Limits(subflows_per_session=3))
SILENT = SILENT_SWEEPS * POLICY.timers.sweep
LINGER = POLICY.timers.fin_linger
MAC = bytes.fromhex("020000000201")


def at_port(driver: Driver, address: str = UE_WLAN) -> None:
    """A host announces its address at the WLAN's port."""
    driver.give(NeighbourSeen(2, 1, packed(address), MAC))


def joined(driver: Driver, port: int, address: str = UE_WLAN, number: int = 1) -> list[object]:
    """A join comes in, and its MCP answers if it got it."""
    opening = join(address, port, address_id=number)
    outputs: list[object] = driver.syn(2, 1, opening)
    (session,) = driver.table
    place = driver.engine.map.inside[session.mcp].port
    driver.syn_ack(place.dpid, place.port, answer(opening, b"")._replace(kind=Kind.JOIN))
    return outputs


def full(address: str = UE_WLAN, number: int = 1) -> Driver:
    """A session that has all the subflows it may have: 40000 by LTE, 50001 and 50002 by WLAN."""
    driver = Driver(policy=POLICY)
    at_port(driver, address)
    driver.session()
    for port in (50_001, 50_002):
        joined(driver, port, address, number)
    moved(driver, 40_000, 50_001, 50_002)
    assert ports(driver) == [40_000, 50_001, 50_002] and SILENT < POLICY.timers.idle
    return driver


def silent_for(driver: Driver, seconds: float, *live: int) -> None:
    """Let time pass. Sweeps find that only the subflows `live` have counted segments meanwhile."""
    driver.now += seconds
    moved(driver, *live)


def mcp_closes(driver: Driver, port: int, address: str = UE_WLAN) -> None:
    (session,) = driver.table
    place = driver.engine.map.inside[session.mcp].port
    driver.give(FinSeen(place.dpid, place.port, answer(join(address, port), b"")._replace(flags=FIN)))


def asks(outputs: list[object], address: str) -> bool:
    """Whether hosts were asked for at the WLAN's port only, and this address is among them."""
    sent = [o for o in outputs if isinstance(o, SendFrame)]
    assert {(o.dpid, o.port) for o in sent} <= {(2, 1)} and len(outputs) == len(sent)
    return any(packed(address) in o.frame[14:] and len(o.frame) < 54 for o in sent)


def wlan(driver: Driver, up: bool) -> None:
    driver.give(PortStatus(2, 1, up))
