"""The state for the store, which outlives this controller: pieces as a whole, sessions and leases as changes."""

from steering.core.engine import Engine
from steering.model.kept import KeptLease, KeptSession, KeptState, KeptUse, Piece, merged


def revision(engine: Engine, piece: Piece) -> int:
    """A number that changes whenever the piece changes."""
    return sum(part.revision for part in engine.parts if part.keeps is piece)


def kept(engine: Engine, piece: Piece, now: float) -> KeptState:
    """The state of one piece. Only the fields of this piece are set."""
    return merged(part.snapshot(now) for part in engine.parts if part.keeps is piece)


def unwritten_usage(engine: Engine) -> list[int]:
    """The parts of used bytes in which this controller has counted bytes that are not in its records in etcd."""
    return engine.preferring.used.unwritten()


def usage_record(engine: Engine, controller: str, part: int) -> tuple[KeptUse, ...]:
    """The content that this controller's record of one part of used bytes should have."""
    return engine.preferring.used.record(controller, part)


def refused_usage(engine: Engine) -> int:
    """How many pairs of subscriber and access type found no room in records."""
    return engine.preferring.used.refused


def sessions(engine: Engine) -> tuple[list[tuple[int, KeptSession]], list[int]]:
    """The sessions that began or changed since the last call, with their ids, and the ids of sessions that are over."""
    return engine.kept_sessions.news()


def restored(engine: Engine) -> bool:
    """Whether all sessions of the store have been taken back or given up."""
    return engine.kept_sessions.finished


def leases(engine: Engine, now: float) -> tuple[list[tuple[bytes, KeptLease]], list[bytes]]:
    """The DHCP leases that began or were renewed since the last call, with their addresses, and the addresses of leases
    that are over."""
    return engine.dhcp_leases.news(now)


def leases_told(engine: Engine) -> bool:
    """Whether `leases` has returned every lease that was taken back."""
    return engine.dhcp_leases.all_told
