"""What would become of a connection, without opening one: the path of a first SYN, read only."""

from typing import Any

from steering.core.engine import Engine
from steering.core.quotas import session_keys
from steering.core.rulebook import Answer
from steering.core.sitemap import Attachment
from steering.core.view import EngineView
from steering.model.control import WhatIf
from steering.model.decision import Outcome, Ruling
from steering.model.network import AccessNetwork
from steering.model.policy import Action, Mode, OverLimit
from steering.model.session import Refusal
from steering.wire.handshake import Handshake, Kind

Json = dict[str, Any]

SYN = 0x02


def what_if(engine: Engine, view: EngineView, question: WhatIf, now: float) -> Json:
    """The body of a decision, without an id, and "access_network". Raises KeyError for an unknown one."""
    access = _access(engine, question)
    if access is None:
        return _settled(engine, None, None, Outcome.NATURAL, "no-access-network", now)
    attachment = engine.map.attachments[access.ports[0]]
    handshake = _syn(question)
    answer = engine.chooser.ask(attachment, handshake)
    if (short := _without_choice(engine, attachment, handshake, answer, now)) is not None:
        return _settled(engine, access, answer, *short, now)
    exits = engine.map.exits_to(question.destination)
    dpid = attachment.waypoint.port.dpid
    active = engine.pinning.table.active
    decision = engine.chooser.choose(answer.terms, dpid, exits, handshake, active, now)
    rule = answer.rule.name if answer.rule else ""
    subscriber = answer.subscriber.id if answer.subscriber else ""
    told = view.explain(Ruling(decision, rule, answer.terms, engine.policy.version, subscriber))
    told["access_network"] = access.name
    if decision.mcp is not None:
        keys = session_keys(answer, handshake.src, handshake.dst, handshake.dport, decision.mcp.id)
        full = engine.pinning.table.ledger.full(engine.chooser.allowance(answer), keys)
        if full is not None:
            refused = engine.policy.over_limit is OverLimit.REFUSE
            outcome = Outcome.DENY if refused else Outcome.NATURAL
            # Which kind of key, and not whose: a subscriber's id is not for everybody who may ask (N-7.1).
            reason = f"{Refusal.SESSION_LIMIT}: {full.limit.most} of one {full.key.partition(' ')[0]}"
            told |= {"outcome": outcome.value, "winner": None, "reason": reason}
    return told


def _without_choice(
    engine: Engine, attachment: Attachment, handshake: Handshake, answer: Answer, now: float
) -> tuple[Outcome, str] | None:
    """Outcome and reason where no MCP is looked for (the order is that of Pinning)."""
    ports = engine.policy.eligible_ports
    if not engine.map.exits_to(handshake.dst):
        return Outcome.NATURAL, "no-gateway"
    if not any(low <= handshake.dport <= high for low, high in ports):
        return Outcome.NATURAL, "port-not-eligible"
    terms = answer.terms
    if terms.action is Action.DENY:
        return Outcome.DENY, Refusal.POLICY.value
    if terms.action is Action.BYPASS:
        return Outcome.NATURAL, "bypass"
    if terms.mode is Mode.TRANSPARENT:
        return Outcome.NATURAL, "transparent"
    if terms.mode is Mode.HYBRID:
        capable = engine.pinning.capabilities.known((handshake.dst, handshake.dport), now)
        if capable is None:
            return Outcome.NATURAL, "server-not-tried"
        if capable:
            return Outcome.NATURAL, "server-speaks-mptcp"
    return None


def _access(engine: Engine, question: WhatIf) -> AccessNetwork | None:
    if question.access is None:
        return engine.map.access_of(question.source)
    for access in engine.site.access_networks:
        if access.name == question.access:
            return access
    raise KeyError(question.access)


def _syn(question: WhatIf) -> Handshake:
    return Handshake(
        family=4 if len(question.source) == 4 else 6,
        src=question.source,
        dst=question.destination,
        sport=0,
        dport=question.port,
        seq=0,
        ack=0,
        flags=SYN,
        kind=Kind.CAPABLE,
        version=question.mptcp_version,
        key=b"",
        peer_key=b"",
        token=b"",
        address_id=0,
        backup=False,
        nonce=b"",
        deny_join=False,
        options_length=0,
        payload_offset=0,
    )


def _settled(
    engine: Engine,
    access: AccessNetwork | None,
    answer: Answer | None,
    outcome: Outcome,
    reason: str,
    now: float,
) -> Json:
    return {
        "time_s": now,
        "policy_version": engine.policy.version,
        "rule": answer.rule.name if answer and answer.rule else None,
        "subscriber": answer.subscriber.id if answer and answer.subscriber else None,
        "outcome": outcome.value,
        "winner": None,
        "reason": reason,
        "natural_cost": None,
        "candidates": [],
        "access_network": access.name if access else None,
    }
