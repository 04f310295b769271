"""What-if: the decision that the engine would make for a connection. The engine's own functions are called with a
made-up first SYN, and its state is not changed."""

from steering.core.engine import Engine
from steering.core.handshakes.native_mptcp import excluded
from steering.core.handshakes.withdrawal import withdraws
from steering.core.network.site_index import Attachment
from steering.core.snapshots.decisions import explain
from steering.model.control import WhatIf
from steering.model.decision import Outcome
from steering.model.policy import Action, Mode
from steering.model.session_snapshot import DecisionSnapshot
from steering.wire.handshake import Handshake, Kind


def whatif(engine: Engine, question: WhatIf, now: float) -> DecisionSnapshot:
    """The decision for the connection of a question. Raises KeyError for an access network that is not known."""
    source, destination, port = question.source, question.destination, question.port
    place = _access(engine, source, question.access)
    handshake = Handshake(
        4 if len(source) == 4 else 6, source, destination, question.source_port, port, 0, 0, 2, Kind.CAPABLE,
        question.mptcp_version, b"", b"", b"", 0, False, b"", False, False, 4, 0,
    )  # fmt: skip
    answer = engine.chooser.ask(place, handshake)
    rule = answer.rule.name if answer.rule else ""
    subscriber = answer.subscriber.id if answer.subscriber else ""
    exits = engine.map.exits_to(destination)
    terms = answer.terms
    if not exits:
        return _natural(rule, subscriber, "no-gateway", engine)
    if not engine.sessions.in_force.eligible(port):
        return _natural(rule, subscriber, "port-not-eligible", engine)
    if terms.action is Action.DENY:
        return _natural(rule, subscriber, "rule", engine)._replace(outcome=Outcome.DENY)
    if terms.action is Action.BYPASS or terms.mode is Mode.TRANSPARENT:
        return _natural(rule, subscriber, "rule", engine)
    if excluded(engine.policy, terms, handshake):
        return _natural(rule, subscriber, "terminate-only", engine)
    unit = engine.sessions.proactive.unit_of(source)
    tried = terms.mode is Mode.HYBRID or (withdraws(engine.policy, terms) and unit is None)
    if tried and engine.sessions.capabilities.known((destination, port), now) is not False:
        return _natural(rule, subscriber, "server-may-be-capable", engine)
    if unit is not None:
        ruling, loads = engine.sessions.learned.ruling(
            unit, source, handshake, place.waypoint.port.dpid, exits, now
        )
        return explain(engine, ruling, loads, now)
    active = engine.sessions.table.active
    decision = engine.chooser.choose(
        terms, place.waypoint.port.dpid, exits, handshake, active, now, place.waypoint.id
    )
    return explain(engine, engine.chooser.ruling(answer, decision), decision.loads, decision.time)


def _access(engine: Engine, source: bytes, name: str | None) -> Attachment:
    if name is None:
        part = engine.map.access_of(source)
        if part is None:
            raise KeyError("no access network has the source's prefix")
        name = part.name
    for attachment in engine.map.attachments.values():
        if attachment.name == name and not attachment.role.is_mcp:
            return attachment
    raise KeyError(name)


def _natural(rule: str, subscriber: str, reason: str, engine: Engine) -> DecisionSnapshot:
    return DecisionSnapshot(
        time_s=0.0,
        policy_version=engine.policy.version,
        rule=rule or None,
        subscriber=subscriber or None,
        outcome=Outcome.NATURAL,
        winner=None,
        reason=reason,
        natural_cost=None,
        candidates=(),
    )
