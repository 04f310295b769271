"""The limits for an operator (D-6.3f): each limit, where it is set, how much of it is used, and what was refused."""

from collections.abc import Iterator
from itertools import islice

from steering.core.engine import Engine
from steering.core.selection.quotas import LIMITED
from steering.model.ids import McpId
from steering.model.limit import FullLimit
from steering.model.policy import Policy, Quotas
from steering.model.snapshot import BoundUse, CountedLimit, LimitsSnapshot, QuotaLimit, QuotaUse, ReachedLimit

SHOWN = 100  # most entries of the lists of the busiest names and of the limits that were reached
QUOTAS_SHOWN = 1_000  # most quotas that are listed


def limits(engine: Engine) -> LimitsSnapshot:
    """All limits, their use, and the refusals. Subscribers are given by their ids."""
    policy, table, counters = engine.policy, engine.sessions.table, engine.counters
    bounds = policy.limits
    fulls = list(counters.fulls.items())[-SHOWN:]
    return LimitsSnapshot(
        controller=(
            BoundUse(limit="sessions", most=bounds.sessions, used=len(table)),
            BoundUse(limit="half_open", most=bounds.half_open, used=len(table.half_open)),
            BoundUse(limit="held_joins", most=bounds.held_joins, used=len(engine.sessions.waiting)),
        ),
        quotas=tuple(islice(_quotas(policy), QUOTAS_SHOWN)),
        use=tuple(
            QuotaUse(kind=kind, name=_mcp_name(engine, name) if kind == "mcp" else name, sessions=count)
            for kind, name, count in table.ledger.busiest(SHOWN)
        ),
        refusals={reason.value: count for reason, count in counters.refusals.items() if count},
        full=tuple(CountedLimit(*_full(full), count) for full, count in fulls),
        last_full=None if counters.last_full is None else _full(counters.last_full),
    )


def _full(full: FullLimit) -> ReachedLimit:
    return ReachedLimit(kind=full.kind, name=full.name, most=full.limit.most, source=full.limit.source)


def _mcp_name(engine: Engine, number: str) -> str:
    mcp = engine.map.mcps.get(McpId(int(number)))
    return mcp.name if mcp else number


def _quotas(policy: Policy) -> Iterator[QuotaLimit]:
    """Every limit that the policy sets, with the part of the policy that sets it."""
    yield QuotaLimit(limit="subflows_per_session", source="limits", most=policy.limits.subflows_per_session)
    sources: list[tuple[str, Quotas]] = [("policy", policy.quotas)]
    sources += [(f"rule {rule.name}", rule.then.quotas) for rule in policy.rules]
    sources += [(f"class {klass.name}", klass.quotas) for klass in policy.classes]
    sources += [(f"application {one.name}", one.quotas) for one in policy.applications]
    sources += [(f"subscriber {one.id}", one.quotas) for one in policy.subscribers]
    for source, quotas in sources:
        for name in ("subflows_per_session", *(name for _, name in LIMITED)):
            most = getattr(quotas, name)
            if most is not None:
                yield QuotaLimit(limit=name, source=source, most=most)
