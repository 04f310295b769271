"""First SYNs (MP_CAPABLE): each is steered to an MCP, left on its natural path, or refused."""

from steering.core.admission.authorisation import Authorisation
from steering.core.counters import Counters
from steering.core.handshakes.explicit_mode import ExplicitMode
from steering.core.handshakes.native_mptcp import NativeSessions
from steering.core.handshakes.option_bypass import Bypass
from steering.core.handshakes.policy_in_force import PolicyInForce
from steering.core.handshakes.replies import Replies
from steering.core.handshakes.room import Room
from steering.core.handshakes.server_capability import Capabilities
from steering.core.handshakes.withdrawal import Withdrawal, goes_naturally, withdraws
from steering.core.inputs import SynSeen
from steering.core.network.site_index import Attachment, SiteMap
from steering.core.outputs import Output, Steer, naturally, steered
from steering.core.proactive.units import ProactiveInsertion
from steering.core.selection.chooser import Chooser, dscp_of
from steering.core.selection.quotas import quota_keys
from steering.core.sessions.flow_key import FlowKey
from steering.core.sessions.join_authentication import KeyWatch
from steering.core.sessions.records import Subflow
from steering.core.sessions.shared_parts import Returns
from steering.core.sessions.table import SessionTable
from steering.core.sessions.transitions import Beginning, SessionLife
from steering.model.decision import Decision, Outcome, Ruling
from steering.model.ids import NO_WAYPOINT, McpId
from steering.model.limit import FullLimit
from steering.model.network import Interception, Mcp, PortRef, PortRole
from steering.model.policy import Action, Authentication, Mode, OverLimit, Terms
from steering.model.session import EntryKind, Refusal
from steering.wire.mptcp import ResetReason
from steering.wire.options import CAPABLE_SYN, OPTION_SPACE

# Names for members of enums, because every SYN reads them (core.sessions.records says why).
GATEWAY, INITIAL, SYN_STEERED = PortRole.GATEWAY, EntryKind.INITIAL, Beginning.SYN_STEERED
HMAC = Authentication.HMAC
DENY, PROXY, TAKE_OVER = Action.DENY, Action.PROXY, Mode.TAKE_OVER
SELF = Interception.SELF
_new = tuple.__new__  # makes a NamedTuple without the call of its constructor
ROOMY = OPTION_SPACE - CAPABLE_SYN  # most bytes of other options that leave room for MP_CAPABLE


class FirstSyns:
    """Decides about first SYNs from access networks, and begins their sessions."""

    def __init__(
        self,
        sitemap: SiteMap,
        chooser: Chooser,
        counters: Counters,
        *,
        in_force: PolicyInForce,
        replies: Replies,
        room: Room,
        table: SessionTable,
        life: SessionLife,
        keys: KeyWatch,
        authorisation: Authorisation,
        explicit: ExplicitMode,
        capabilities: Capabilities,
        natives: NativeSessions,
        withdrawal: Withdrawal,
        bypass: Bypass,
        proactive: ProactiveInsertion,
    ) -> None:
        self._map = sitemap
        self._chooser = chooser
        self._counters = counters
        self._in_force = in_force
        self._replies = replies
        self._room = room
        self._table = table
        self._life = life
        self._keys = keys
        self._authorisation = authorisation
        self._explicit = explicit
        self._capabilities = capabilities
        self._natives = natives
        self._withdrawal = withdrawal
        self._bypass = bypass
        self._proactive = proactive

    def seen(self, attachment: Attachment, seen: SynSeen, key: FlowKey, now: float) -> list[Output]:
        """A first SYN came in. The outputs steer it to an MCP, let it take its natural path, or refuse it."""
        handshake, in_force = seen.handshake, self._in_force
        exits = self._map.exits_to(handshake.dst)
        addressed = not exits and self._explicit.addressed(handshake)
        if not addressed and (not exits or handshake.dport not in in_force.ports):
            return self._replies.leave(attachment, seen)
        answer = self._chooser.ask(attachment, handshake, seen.frame)
        terms = answer.terms
        if terms.action is DENY:
            self._counters.refusals[Refusal.POLICY] += 1
            return self._replies.refuse(seen, ResetReason.ADMINISTRATIVELY_PROHIBITED)
        usual = (
            terms.mode is TAKE_OVER
            and terms.action is PROXY
            and in_force.mcps_stay
            and not terms.terminate_only
        )
        if not (usual or addressed) and goes_naturally(
            in_force.policy, self._capabilities, terms, handshake, key, now
        ):
            self._natives.left(key, now)
            if withdraws(in_force.policy, terms):
                self._withdrawal.left(key, attachment.waypoint.id, now)
            return self._replies.leave(attachment, seen)
        if handshake.uncommon or handshake.options_length > ROOMY:
            passed = self._bypass.reason(in_force.policy, seen)
            if passed is not None:
                self._counters.refusals[passed] += 1
                self._natives.left(key, now)
                return self._replies.leave(attachment, seen)
        if addressed or self._authorisation.asks:
            barred = self._barred(attachment, seen, now)
            if barred is not None:
                return barred
        refusal = self._room.refusal(attachment, exits, key)
        if refusal is not None:
            self._counters.refusals[refusal] += 1
            return self._without_room(attachment, seen, key, now)
        if self._proactive.units and not addressed:
            terms = self._proactive.terms(handshake.src, terms)
        entrance = attachment.waypoint.id
        if addressed:
            decision = self._explicit.choose(terms, seen.dpid, handshake, self._table.active, now, entrance)
        else:
            decision = self._chooser.choose(
                terms, seen.dpid, exits, handshake, self._table.active, now, entrance
            )
        mcp = decision.mcp
        if mcp is None and self._table.half_open:
            decision = self._again(attachment, seen, exits, terms, now)
            mcp = decision.mcp
        if mcp is None:
            self._counters.refusals[Refusal.NO_MCP] += 1
            if decision.outcome is Outcome.NATURAL:
                return self._without_room(attachment, seen, key, now)
            return self._replies.refuse(seen, ResetReason.LACK_OF_RESOURCES, transient=True)
        ruling = self._chooser.ruling(answer, decision)
        allowed = self._chooser.allowance(answer)
        if allowed.limited:
            who = ruling.counted or self._table.origin_of(handshake.src)
            keys = quota_keys(who, ruling.application, handshake.dst, handshake.dport, mcp.id)
            full = self._table.ledger.full(allowed, keys)
            if full is not None:
                return self._over_limit(attachment, seen, key, full, now)
        subflow = self._begin(attachment, seen, key, exits, ruling, decision.loads, mcp, now)
        session, waypoint = subflow.session, subflow.course.waypoint
        if self._proactive.units:
            self._proactive.begun(session)
        if not waypoint:
            return [naturally(attachment, seen)]  # no entry is needed
        if mcp.interception is SELF and self._chooser.in_line(decision):
            # The SYN need not wait for the entries. They only count the third ACK.
            return [Steer(session.entries(GATEWAY), None), naturally(attachment, seen)]
        return [_new(Steer, (session.entries(GATEWAY), steered(attachment, seen, waypoint)))]

    def _again(
        self, attachment: Attachment, seen: SynSeen, exits: tuple[PortRef, ...], terms: Terms, now: float
    ) -> Decision:
        """Decide once more, because no MCP has room. Perhaps half-open sessions from other access ports (a flood) fill the
        MCPs. These are not counted this time."""
        entrance = attachment.waypoint.id
        load = self._table.load_seen_at(entrance)
        if exits:
            return self._chooser.choose(terms, seen.dpid, exits, seen.handshake, load, now, entrance)
        return self._explicit.choose(terms, seen.dpid, seen.handshake, load, now, entrance)

    def taken(
        self, attachment: Attachment, seen: SynSeen, key: FlowKey, number: McpId, now: float
    ) -> list[Output]:
        """The MCP `number` has answered a SYN that came there by the pin of an older session with the same 5-tuple.

        A new session begins at this MCP, whatever MCP would be chosen now. No limit refuses it, because the connection exists
        already. Returns [] if the session cannot be recorded.
        """
        handshake, active, entrance = seen.handshake, self._table.active, attachment.waypoint.id
        exits = self._map.exits_to(handshake.dst)
        if not self._table.has_room or not (exits or self._explicit.addressed(handshake)):
            return []
        answer = self._chooser.ask(attachment, handshake, seen.frame)
        if exits:
            decision = self._chooser.choose(answer.terms, seen.dpid, exits, handshake, active, now, entrance)
        else:
            decision = self._explicit.choose(answer.terms, seen.dpid, handshake, active, now, entrance)
        if number not in decision.candidates.ids:
            return []
        winner = decision.candidates.ids.index(number)
        decision = decision._replace(outcome=Outcome.PROXY, winner=winner, reason="answered")
        mcp = self._map.mcps[number]
        ruling = self._chooser.ruling(answer, decision)
        subflow = self._begin(attachment, seen, key, exits, ruling, decision.loads, mcp, now)
        entries = subflow.session.entries(GATEWAY)
        return [Steer(entries, None)] if entries else []

    def _begin(
        self,
        attachment: Attachment,
        seen: SynSeen,
        key: FlowKey,
        exits: tuple[PortRef, ...],
        ruling: Ruling,
        loads: tuple[int, ...],
        mcp: Mcp,
        now: float,
    ) -> Subflow:
        handshake = seen.handshake
        self._chooser.chosen(seen.dpid, mcp.id)
        outside = self._map.outside[mcp.id].id
        returns: Returns = ()
        if not mcp.source_modes.preserves(handshake.family):
            pass  # a static route leads packets to the MCP's pool back to the MCP (N-5.4.2.1b)
        elif len(exits) == 1:
            returns = ((exits[0].dpid, outside),)
        else:
            returns = tuple(dict.fromkeys((port.dpid, outside) for port in exits))
        session = self._life.begin(
            SYN_STEERED, mcp.id, ruling, now, attachment.waypoint.id, key, handshake.version, returns,
            dscp_of(seen.frame), loads=loads,
        )  # fmt: skip
        own = not exits and handshake.dst in self._map.mcp_addresses
        waypoint = NO_WAYPOINT if own else self._map.inside[mcp.id].id
        subflow = self._table.begin_subflow(
            session, INITIAL, key, seen.dpid, attachment.role, waypoint, handshake.seq, now, seen.port
        )
        self._counters.sessions_started += 1
        proving = ruling.terms.authentication is HMAC
        if waypoint and (proving or self._in_force.policy.keep_keys):
            self._keys.begin(session, proving, now)
        return subflow

    def _barred(self, attachment: Attachment, seen: SynSeen, now: float) -> list[Output] | None:
        """None if the source is authorised. Else the outputs that refuse the SYN, or that ask an authoriser while the SYN
        waits."""
        judged = self._authorisation.judge(attachment, seen, now)
        if not isinstance(judged, Refusal):
            return judged
        self._counters.refusals[judged] += 1
        full = judged is Refusal.AUTHORISATION_QUEUE_FULL
        reason = ResetReason.LACK_OF_RESOURCES if full else ResetReason.ADMINISTRATIVELY_PROHIBITED
        return self._replies.refuse(seen, reason, transient=full)

    def _without_room(self, attachment: Attachment, seen: SynSeen, key: FlowKey, now: float) -> list[Output]:
        """Leave a SYN on its natural path, because no MCP can take the session. The server may speak MPTCP itself and get
        joins later."""
        self._natives.found_no_room(key, seen.handshake.dst, now)
        return self._replies.leave(attachment, seen)

    def _over_limit(
        self, attachment: Attachment, seen: SynSeen, key: FlowKey, full: FullLimit, now: float
    ) -> list[Output]:
        """A limit is reached. The SYN takes its natural path, or is refused so that the host may try again (G3). It gets no
        answer while it is not known how much other controllers use of the limit: the host repeats it."""
        if not self._table.ledger.is_sure:
            self._counters.refusals[Refusal.RECOVERING] += 1
            return []
        self._counters.refusals[Refusal.SESSION_LIMIT] += 1
        self._counters.full(full)
        if self._in_force.policy.over_limit is OverLimit.NATURAL:
            return self._without_room(attachment, seen, key, now)
        return self._replies.refuse(seen, ResetReason.LACK_OF_RESOURCES, transient=True)
