"""What has to outlive this controller, for the store: pieces as a whole, sessions and leases by what is new."""

from steering.core.engine import Engine
from steering.model.kept import KeptLease, KeptSession, KeptState, Piece, merged


def revision(engine: Engine, piece: Piece) -> int:
    """A number that changes whenever the piece does."""
    return sum(part.revision for part in engine.parts if part.keeps is piece)


def kept(engine: Engine, piece: Piece, now: float) -> KeptState:
    """One piece: only its fields are set."""
    return merged(part.snapshot(now) for part in engine.parts if part.keeps is piece)


def sessions(engine: Engine) -> tuple[list[tuple[int, KeptSession]], list[int]]:
    """Sessions by id that began or changed since the last call, and the ids of those that are over."""
    return engine.kept_sessions.news()


def restored(engine: Engine) -> bool:
    """Whether everything that will be taken back has been."""
    return engine.kept_sessions.finished


def leases(engine: Engine, now: float) -> tuple[list[tuple[bytes, KeptLease]], list[bytes]]:
    """DHCP leases by address that began or were renewed since the last call, and the addresses of those that are over."""
    return engine.dhcp_leases.news(now)


def leases_told(engine: Engine) -> bool:
    """Whether every lease that was taken back has been among `leases`."""
    return engine.dhcp_leases.all_told
