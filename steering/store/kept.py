"""Writes the records that one controller leaves to the next as JSON, and reads them back with every value checked.

Each reader returns the records that it could read, and the number of those that it could not. So damage costs the damaged
records, and never the start of a controller. Times are seconds since 1970, as a monotonic clock begins anew with the machine.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_network
from typing import Any, TypeVar

from steering.model.ids import DatapathId, PortNumber
from steering.model.kept import (
    KeptMcp,
    KeptNetwork,
    KeptReservation,
    KeptRoute,
    KeptSession,
    KeptUnit,
    KeptUsage,
    KeptUse,
    Places,
)
from steering.model.network import PortRef
from steering.model.reservation import Level
from steering.model.session import FlowKey

MOST_RESERVATIONS = 65_536
MOST_USES = 65_536
MOST_LINKS = 200_000
MOST_UNITS = 100_000
MOST_MCPS = 65_536
LONGEST_PACE = 60.0  # seconds
MOST_NAME = 256  # characters
MOST_FLOWS = 1_024  # subflows or routes of one record
MOST_HOPS = 256
MOST_PREFIXES = 1_024
LARGEST = 2**63  # largest number of any field
FORMAT = 1
KEY_BYTES = (12, 36)  # lengths of a flow key: IPv4, IPv6

T = TypeVar("T")
Json = dict[str, Any]


class DamagedFile(Exception):
    """A stored file is not one that this program wrote."""


# ---- reservations ------------------------------------------------------------------------------


def reservations_text(kept: Iterable[KeptReservation], wall: float) -> str:
    """Reservations as text. `wall`: the time now, seconds since 1970."""
    return _text(reservations=[_reservation_json(one, wall) for one in kept])


def read_reservations(text: str, wall: float) -> tuple[tuple[KeptReservation, ...], int]:
    """The stored reservations, and the number that cannot be read. Those whose lease has ended since have a `remaining` of 0
    or less. Raises DamagedFile."""
    return _read(text, "reservations", MOST_RESERVATIONS, lambda told: _reservation(told, wall))


def _reservation_json(one: KeptReservation, wall: float) -> Json:
    told = one._asdict()
    del told["remaining"]
    return told | {
        "until": round(wall + one.remaining, 3),
        "first": one.first.hex(),
        "flow": one.flow.hex(),
        "places": [[key.hex(), dpid] for key, dpid in one.places],
        "routes": [[[*_port_json(a), *_port_json(b)] for a, b in route] for route in one.routes],
    }


def _reservation(told: Json, wall: float) -> KeptReservation:
    return KeptReservation(
        _name(told["id"]), Level(told["level"]), _name(told["subscriber"]), _name(told["mcp"]),
        _of(bool, told["granted"]), _until(told["until"]) - wall, _number(told["version"]),
        _number(told["rate"]), _number(told["subflows"]), _number(told["asked_rate"]),
        _number(told["asked_subflows"]), _name(told["asked_mcp"]), float(_until(told["lease"])),
        _token(told["token"]), _key(told["first"], True), _key(told["flow"], True), _places(told["places"]),
        _number(told["number"], 255), _number(told["slot"], MOST_RESERVATIONS),
        tuple(_route(route) for route in _some(told["routes"], MOST_FLOWS)),
    )  # fmt: skip


# ---- usage -------------------------------------------------------------------------------------


def usage_text(kept: KeptUsage) -> str:
    return _text(
        used=[[_who_json(one.who), one.access_type, one.used] for one in kept.used],
        flows=[[key.hex(), size] for key, size in kept.flows],
    )


def read_usage(text: str) -> tuple[KeptUsage, int]:
    """The stored usage, and the number of records that cannot be read. Raises DamagedFile."""
    used, wrong = _read(text, "used", MOST_USES, _use)
    flows, more = _read(text, "flows", MOST_USES, lambda told: (_key(told[0]), _number(told[1])))
    return KeptUsage(used, flows), wrong + more


def _who_json(who: str | bytes) -> str:
    return f"host {who.hex()}" if isinstance(who, bytes) else f"subscriber {who}"


def _use(told: list[Any]) -> KeptUse:
    kind, _, name = _of(str, told[0]).partition(" ")
    if kind not in ("host", "subscriber"):
        raise ValueError(kind)
    who: str | bytes = _name(name)
    if kind == "host":
        who = bytes.fromhex(name)
        if len(who) not in (4, 8, 16):
            raise ValueError(name)
    return KeptUse(who, _name(told[1]), _number(told[2]))


# ---- the network -------------------------------------------------------------------------------


def network_text(kept: KeptNetwork) -> str:
    return _text(
        links=[[*_port_json(a), *_port_json(b)] for a, b in kept.links],
        units=[[u.name, [str(p) for p in u.prefixes], u.mcp, u.asked] for u in kept.units],
        mcps=[list(one) for one in kept.mcps],
    )


def read_network(text: str) -> tuple[KeptNetwork, int]:
    """The stored links, proactive units and MCPs, and the number of records that cannot be read. A file of an earlier version
    has no MCPs. Raises DamagedFile."""
    links, wrong = _read(text, "links", MOST_LINKS, _link)
    units, more = _read(text, "units", MOST_UNITS, _unit)
    mcps, worse = _read(text, "mcps", MOST_MCPS, _mcp, may_lack=True)
    return KeptNetwork(links, units, mcps), wrong + more + worse


def _unit(told: list[Any]) -> KeptUnit:
    prefixes = tuple(ip_network(_of(str, text)) for text in _some(told[1], MOST_PREFIXES))
    return KeptUnit(_name(told[0]), prefixes, _name(told[2]), _of(bool, told[3]))


def _mcp(told: list[Any]) -> KeptMcp:
    name, reports, pace, answers = _of(list, told)
    if not _until(pace) <= LONGEST_PACE:
        raise ValueError(pace)
    return KeptMcp(_name(name), _of(bool, reports), float(pace), _of(bool, answers))


# ---- sessions, one a line ----------------------------------------------------------------------


def session_line(number: int, kept: KeptSession | None) -> str:
    """The line of a session that began or changed; `kept` None: the session with this number ended."""
    told: list[Any] = [number]
    if kept is not None:
        flows = [[key.hex(), dpid, isn] for key, dpid, isn in kept.flows]
        told += [kept.unit, kept.mcp, kept.token, kept.version, kept.first.hex(), flows]
    return json.dumps(told, separators=(",", ":")) + "\n"


def read_session(line: str) -> tuple[int, KeptSession | None]:
    """The session of one line. Raises ValueError for a line that this program did not write, or that is cut off."""
    try:
        told = _of(list, json.loads(line))
        number = _number(told[0])
        if len(told) == 1:
            return number, None
        flows = tuple(
            (_key(key), _datapath(dpid), _number(isn + 1, 1 << 32) - 1)
            for key, dpid, isn in _some(told[6], MOST_FLOWS)
        )
        version = _number(told[4], 1)
        return number, KeptSession(
            _name(told[1]), _name(told[2]), _token(told[3]), version, _key(told[5]), flows
        )
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise ValueError(type(error).__name__) from None


# ---- values ------------------------------------------------------------------------------------


def _text(**lists: list[Any]) -> str:
    return json.dumps({"format": FORMAT, **lists}, separators=(",", ":"))


def _read(
    text: str, name: str, most: int, one: Callable[[Any], T], may_lack: bool = False
) -> tuple[tuple[T, ...], int]:
    try:
        whole = json.loads(text)
        told = [] if may_lack and name not in whole else whole[name]
        if whole["format"] != FORMAT or not isinstance(told, list):
            raise DamagedFile
    except (ValueError, TypeError, KeyError, RecursionError):
        raise DamagedFile from None
    found = tuple(_understood(told[:most], one))
    return found, len(told) - len(found)


def _understood(told: list[Any], one: Callable[[Any], T]) -> Iterator[T]:
    for record in told:
        try:
            yield one(record)
        except (ValueError, TypeError, KeyError, IndexError, OverflowError):
            continue


def _of(kind: type[T], value: Any) -> T:
    if type(value) is not kind:
        raise ValueError(value)
    return value


def _some(value: Any, most: int) -> list[Any]:
    found = _of(list, value)
    if len(found) > most:
        raise ValueError(len(found))
    return found


def _number(value: Any, most: int = LARGEST) -> int:
    if not 0 <= _of(int, value) <= most:
        raise ValueError(value)
    return int(value)


def _until(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value < LARGEST:
        raise ValueError(value)
    return float(value)


def _token(value: Any) -> int:
    return _number(value + 1, 2**32) - 1


def _name(value: Any) -> str:
    if len(_of(str, value)) > MOST_NAME:
        raise ValueError(len(value))
    return str(value)


def _key(value: Any, may_lack: bool = False) -> FlowKey:
    found = FlowKey(bytes.fromhex(_of(str, value)))
    if len(found) not in KEY_BYTES and not (may_lack and not found):
        raise ValueError(value)
    return found


def _places(value: Any) -> Places:
    return tuple((_key(key), _datapath(dpid)) for key, dpid in _some(value, MOST_FLOWS))


def _port_json(port: PortRef) -> list[int]:
    return [port.dpid, port.port]


def _link(value: Any) -> tuple[PortRef, PortRef]:
    a, p, b, q = _of(list, value)
    return _port(a, p), _port(b, q)


def _port(dpid: Any, number: Any) -> PortRef:
    return PortRef(_datapath(dpid), PortNumber(_number(number, 2**32)))


def _datapath(value: Any) -> DatapathId:
    return DatapathId(_number(value, 2**64))


def _route(value: Any) -> KeptRoute:
    return tuple(_link(hop) for hop in _some(value, MOST_HOPS))
