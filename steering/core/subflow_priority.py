"""Decides what is wanted of each live subflow, and tells the subflow's MCP when that changes.

The live subflows of a session are ranked. The subflows of the best rank carry data, the others are backups. The policy's
distribution gives the ranks:

* `active-backup`: by the place of the subflow's access type in `pooling.preferred`. Without `preferred`, the access where
  the session began is first.
* `lowest-rtt` and `ratio`: all ranks are equal.
* `overflow`: as `active-backup` while the accesses have room, all equal when one is full.

With any distribution, a used-up quota or an offload ranks a subflow behind all others. A subflow whose access may not be
combined any more is closed. The last subflow that is left always carries data, because only the order of ranks matters.

Sessions are examined again whenever something changes on which the ranks may depend. Thus new access types, policies and
time windows act on live sessions. A few sessions are examined in each slice, in the order in which they changed. Slices
follow each other (GoOn) until none is left, so that a SYN waits for one slice only.
"""

from bisect import bisect
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import ClassVar

from steering.core.inputs import Input, ObservedEntry, Offload, SubscriberAccess, UsageTold
from steering.core.network.site_index import SiteMap
from steering.core.outputs import GoOn, Output, Prefer
from steering.core.part import Handler, Part
from steering.core.selection.access_room import AccessRoom
from steering.core.selection.access_use import Usage, says_nothing, usage_of
from steering.core.selection.chooser import FOREIGN, Chooser, NewConnection
from steering.core.selection.rulebook import RuleMatch
from steering.core.selection.used_bytes import METERED, UsedBytes
from steering.core.sessions.fin_pair import BOTH_FINS
from steering.core.sessions.flow_key import FlowKey, flow_key
from steering.core.sessions.records import Session, Subflow
from steering.core.sessions.table import SessionTable
from steering.core.sessions.token_owners import not_allowed
from steering.model.ids import McpId
from steering.model.kept import KeptState, KeptUsage, LostPiece, Piece
from steering.model.network import AccessNetwork, Gateway, NetworkAccessType, PortRef, Trust
from steering.model.policy import Action, Distribution, Policy, Pooling
from steering.model.preference import Intent, SubflowWish
from steering.model.session import EntryKind, Refusal, SessionState

LOOKED_AT_ONCE = 64  # sessions in a slice: some 2 ms
_BEHIND = 1_000  # added to a rank; more than any place in `pooling.preferred`


class SubflowPriorities(Part):
    """Ranks live subflows. `tick` returns the intents for MCPs."""

    keeps: ClassVar[Piece | None] = Piece.USAGE

    def __init__(
        self, sitemap: SiteMap, chooser: Chooser, table: SessionTable, policy: Policy, shared: bool = True
    ) -> None:
        """`shared`: False for the negative control without ratios (Mechanism.RATIO_LIMITS)."""
        self._map = sitemap
        self._shared = shared
        self._chooser = chooser
        self._table = table
        # After a change that concerns all sessions: the last session that was examined again. None: no such change.
        self._looked_at: int | None = None
        self._down: set[PortRef] = set()
        self._minute = 0
        self.room = AccessRoom()
        self._overrides: dict[str, Pooling] = {}
        self.used = UsedBytes()
        self._counted_before: dict[FlowKey, int] = {}  # flow -> bytes that an earlier controller counted
        self.offloads: dict[str, str] = {}
        self._take(policy)
        self.look_again()

    # ---- what happens ---------------------------------------------------------------------------

    def policy_replaced(self, policy: Policy, now: float) -> list[Output]:
        """Rank live subflows by another policy. If neither the old nor the new policy says how accesses are used, no
        session has to be examined."""
        before = self._indifferent(), self._policy.third_party_pooling
        self._take(policy)
        if before != (True, policy.third_party_pooling) or not self._indifferent():
            self.look_again()
        return []

    def _take(self, policy: Policy) -> None:
        self._policy = policy
        self._timed = any(rule.when.times for rule in policy.rules)
        quotas = {quota for rule in policy.rules for quota in rule.then.pooling.quota_bytes}
        self._metered = bool(quotas)
        # The quotas of each access type, in ascending order.
        self._limits = {
            kind: sorted(limit for of, limit in quotas if of is kind) for kind in NetworkAccessType
        }
        self._silent = says_nothing(policy)

    def _indifferent(self) -> bool:
        """Whether neither policy nor operator says how accesses are used. Then no change in a session changes a wish."""
        return self._silent and not self._overrides and not self.offloads

    def look_again(self) -> None:
        """Examine every session again, because something has changed that may concern all of them."""
        self._looked_at = 0

    def new_minute(self, minute: int) -> None:
        """The minute of the week has changed. Time windows begin and end for live sessions too (D-3.2c). It may be called
        several times in a minute."""
        if self._timed and minute != self._minute:
            self.look_again()
        self._minute = minute

    def port(self, port: PortRef, up: bool) -> None:
        """A port lost or regained link. Subflows that come in there have failed, or work again."""
        if up is (port not in self._down):
            return
        (self._down.discard if up else self._down.add)(port)
        self.look_again()

    def port_load(self, access: AccessNetwork, port: PortRef, utilisation: float) -> None:
        """The utilisation of one port, 0 to 1. If its access network is full now, or has room again, ranks may change."""
        if self.room.port_load(access, port, utilisation):
            self.look_again()

    def takes(self) -> Mapping[type[Input], Handler]:
        return {SubscriberAccess: self.take, Offload: self.take, UsageTold: self._usage_told}

    def _usage_told(self, given: UsageTold, now: float) -> list[Output]:
        """Several controllers count towards the same quotas."""
        controller, part, used, written = given
        if written:
            self.used.written(controller, part, used)
            return []
        for (_, kind), before, after in self.used.told(controller, part, used):
            limits = self._limits[kind]
            if bisect(limits, before) != bisect(limits, after):
                self.look_again()
        return []

    def take(self, given: SubscriberAccess | Offload, now: float) -> list[Output]:
        """Take an operator's order. The resulting intents leave with a tick."""
        if isinstance(given, Offload):
            self.offload(given.source, given.target)
        else:
            self.override(given.subscriber, given.pooling)
        return []

    def override(self, subscriber: str, pooling: Pooling | None) -> None:
        """Replace what rules say about a subscriber's accesses; None: the rules count again. The caller admits only
        subscribers of the policy, which bounds the records."""
        if pooling is None:
            self._overrides.pop(subscriber, None)
        else:
            self._overrides[subscriber] = pooling
        self.look_again()

    def offload(self, source: str, target: str | None) -> None:
        """Move the traffic of access network `source` to `target`. None ends the offload. An offload in the opposite
        direction ends too."""
        self.offloads.pop(source, None)
        if target is not None:
            if self.offloads.get(target) == source:
                del self.offloads[target]
            self.offloads[source] = target
        self.look_again()

    def counted(self, observed: list[ObservedEntry]) -> None:
        """Take byte counters of session entries. What hosts sent counts towards quotas (N-5.6.1k3)."""
        if not self._metered:
            return
        for entry, _, size in observed:
            subflow = self._table.flows.get(flow_key(entry.src, entry.dst, entry.sport, entry.dport))
            if subflow is None or subflow.kind is EntryKind.RETURN or entry.role != subflow.role:
                continue
            if moved := subflow.count_bytes(size):
                self._spend(subflow, moved)

    def _spend(self, subflow: Subflow, moved: int) -> None:
        usage = self.usage(subflow.session)
        kind = self._access(subflow)[1]
        limit = usage and dict(usage.pooling.quota_bytes).get(kind)
        if not limit:
            return
        key = (self._who(subflow.session), kind)
        before = self.used.of(key)
        if self.used.add(key, moved) and before < limit <= before + moved:
            self.look_again()

    # ---- over a restart -------------------------------------------------------------------------

    @property
    def revision(self) -> int:
        return self.used.changes

    def snapshot(self, now: float) -> KeptState:
        """The bytes used, and how many bytes of each live subflow they contain. The switches' counters go on while no
        controller runs, so the next controller counts what moved meanwhile."""
        flows = ((s.key, s.bytes) for s in self._table.flows.all_values() if s.bytes)
        return KeptState(usage=KeptUsage(self.used.kept(), tuple(islice(flows, METERED))))

    def restore(self, kept: KeptState, now: float) -> dict[LostPiece, int]:
        wrong = self.used.restore(kept.usage.used)
        self._counted_before = dict(kept.usage.flows)
        return {LostPiece.RECORD: wrong}

    def recovered(self, now: float) -> list[Output]:
        """The entries of all switches were read. Bytes that moved since the earlier controller's last count are still to be
        counted. For a subflow without a kept count, all bytes of its entry count as counted already."""
        for key, size in self._counted_before.items():
            subflow = self._table.flows.get(key)
            if subflow is not None and size < subflow.bytes:
                subflow.count_bytes(size)
        self._counted_before = {}
        return []

    # ---- what is wanted -------------------------------------------------------------------------

    def usage(self, session: Session) -> Usage | None:
        """How a session's accesses are to be used now. None if the session's access network is not known."""
        answer = self._answer(session)
        return None if answer is None else usage_of(self._policy, answer, self._overrides)

    def _answer(self, session: Session) -> RuleMatch | None:
        flow = session.flow
        attachment = self._map.by_waypoint.get(session.entrance)
        part = attachment.part if attachment else self._map.access_of(flow.source)
        if part is None:
            return None
        asked = NewConnection(flow.source, flow.destination, flow.destination_port, session.version)
        return self._chooser.ask_of(part, asked, session.dscp)

    def _who(self, session: Session) -> bytes | str:
        """The subscriber for which quotas count a session, or its host's origin. A session that was read back from switches
        counts for the subscriber of its host."""
        keys = session.quota_keys(self._table.origin_of)
        if keys is not None:
            return keys.subscriber
        answer = self._answer(session)
        owner = answer.subscriber if answer is not None else None
        if owner is not None and owner.id in self._chooser.registered:
            return owner.id
        return self._table.origin_of(session.flow.source)

    def refusal(self, session: Session, access: str, answer: RuleMatch) -> Refusal | None:
        """Why a join from an access network is refused now, None if it is not. The reasons: a rule for the join's own
        access, the access's trust, an MCP out of reach, an access type that is not combined (D-3.2b), or in single mode the
        one subflow that the session has works (D-1.m3)."""
        known = self._chooser.access.get(access, FOREIGN)
        refusal = not_allowed(self._policy, known, answer)
        if refusal is Refusal.POLICY and answer.terms.action is Action.BYPASS and self._addressed(session):
            refusal = None  # the host itself has chosen the MCP, so a rule that bypasses MCPs does not count
        if refusal is None and not self._map.reaches(access, session.mcp):
            return Refusal.OUT_OF_REACH
        if refusal is not None or (self._silent and not self._overrides and not self.offloads):
            return refusal  # the condition is `_indifferent`, written out to save a call for each join
        usage = self.usage(session)
        if usage is None:
            return None
        allowed = usage.pooling.allowed
        if allowed and known[0] not in allowed:
            return Refusal.POOLING
        if usage.single and any(map(self.works, session.subflows)):
            return Refusal.SINGLE
        return None

    def _addressed(self, session: Session) -> bool:
        """Whether the session's host addressed the MCP itself (explicit mode)."""
        return self._map.is_mcp_address(session.flow.destination)

    def wishes(self, session: Session) -> list[tuple[Subflow, SubflowWish]]:
        """The wish for each live subflow. Empty for a session that a server opened, and for one of unknown access."""
        live = [s for s in session.subflows if s.closed != BOTH_FINS]
        usage = self.usage(session)
        if usage is None or session.reverse:
            return []
        working = [s for s in live if self.works(s)] or live
        permitted = [s for s in working if self._permitted(s, usage)] or working
        ranks = {id(s): self._rank(s, session, usage, permitted) for s in permitted}
        best = min(ranks.values(), default=0)
        shares = dict(usage.ratio) if self._shared and usage.distribution is Distribution.RATIO else {}
        found = []
        for subflow in live:
            allowed = subflow not in working or subflow in permitted
            rank = ranks.get(id(subflow), best)
            share = shares.get(self._access(subflow)[0], 0) if len(permitted) > 1 else 0
            found.append((subflow, SubflowWish(rank > best, allowed, share if rank == best else 0)))
        return found

    def works(self, subflow: Subflow) -> bool:
        """Whether a subflow works: it is not closed, and its port has link. If its port is not known, any port of its
        access at the same switch counts. From beyond a gateway segments come in at any of the gateway's ports."""
        if subflow.closed == BOTH_FINS:
            return False
        part: AccessNetwork | Gateway | None
        if not subflow.port:
            part = self._map.access_of(subflow.flow.source)
        elif (port := PortRef(subflow.dpid, subflow.port)) not in self._down:
            return True
        else:
            attachment = self._map.attachments.get(port)
            if attachment is None or not isinstance(attachment.part, Gateway):
                return False
            part = attachment.part
        ports = [p for p in part.ports if p.dpid == subflow.dpid] if part else []
        return not ports or any(port not in self._down for port in ports)

    def _permitted(self, subflow: Subflow, usage: Usage) -> bool:
        _, kind, trust = self._access(subflow)
        if subflow.kind is EntryKind.JOIN and trust is Trust.THIRD_PARTY:
            return self._policy.third_party_pooling
        return not usage.pooling.allowed or kind in usage.pooling.allowed

    def _rank(self, subflow: Subflow, session: Session, usage: Usage, among: list[Subflow]) -> int:
        name, kind, _ = self._access(subflow)
        rank = self._place(name, kind, session, usage) if self._is_ranked(usage, among) else 0
        if self._is_used_up(session, kind, usage):
            rank += _BEHIND
        target = self.offloads.get(name)
        if target is not None and any(self._access(other)[0] == target for other in among):
            rank += 2 * _BEHIND
        return rank

    def _is_ranked(self, usage: Usage, among: list[Subflow]) -> bool:
        if usage.distribution is Distribution.OVERFLOW:
            return not any(self.room.is_full(self._access(s)[0]) for s in among)
        return usage.distribution is Distribution.ACTIVE_BACKUP

    def _place(self, name: str, kind: NetworkAccessType, session: Session, usage: Usage) -> int:
        order = usage.pooling.preferred
        if order:
            return order.index(kind) if kind in order else len(order)
        attachment = self._map.by_waypoint.get(session.entrance)
        return 0 if attachment is not None and attachment.name == name else 1

    def _is_used_up(self, session: Session, kind: NetworkAccessType, usage: Usage) -> bool:
        for limited, limit in usage.pooling.quota_bytes:
            if limited is kind:
                return self.used.of((self._who(session), kind)) >= limit
        return False

    def _access(self, subflow: Subflow) -> tuple[str, NetworkAccessType, Trust]:
        """Name, type and trust of a subflow's access network, as they are now."""
        access = self._map.access_of(subflow.flow.source)
        name = access.name if access else ""
        return (name, *self._chooser.access.get(name, FOREIGN))

    # ---- intents for MCPs -----------------------------------------------------------------------

    def tick(self, now: float) -> list[Output]:
        """The intents of one slice of sessions."""
        return self.go_on()

    def go_on(self) -> list[Output]:
        """The intents of one slice of sessions. GoOn is among the outputs if more sessions have to be examined."""
        changed = self._table.changed
        if not changed and self._looked_at is None:
            return []
        if self._indifferent():
            changed.clear()  # the MCP's kernel uses subflows as it likes, so there are no intents
        told: dict[McpId, list[Intent]] = {}
        for session in self._to_look_at():
            if session.state is SessionState.ESTABLISHED:
                told.setdefault(session.mcp, []).extend(self._changes(session))
        outputs: list[Output] = [Prefer(mcp, tuple(intents)) for mcp, intents in told.items() if intents]
        return [*outputs, GoOn()] if changed or self._looked_at is not None else outputs

    def _to_look_at(self) -> Iterator[Session]:
        """The sessions of one slice: first those that changed, then those that have to be examined again."""
        looked_at = 0
        changed = self._table.changed
        while changed and looked_at < LOOKED_AT_ONCE:
            number = next(iter(changed))
            del changed[number]
            looked_at += 1
            session = self._table.by_id.get(number)
            if session is not None:
                yield session
        if self._looked_at is not None and looked_at < LOOKED_AT_ONCE:
            left = LOOKED_AT_ONCE - looked_at
            sessions, self._looked_at = self._table.order.following(self._looked_at, left)
            yield from sessions

    def _changes(self, session: Session) -> list[Intent]:
        found = []
        for subflow, wish in self.wishes(session):
            if wish != subflow.wish:
                subflow.tell(wish)
                found.append(self.intent(subflow))
        return found

    def intent(self, subflow: Subflow) -> Intent:
        """The last wish for a subflow, as an intent for its MCP."""
        name, kind, _ = self._access(subflow)
        _, src, dst, sport, dport = subflow.flow
        session = subflow.session
        return Intent(session.id, session.token, src, sport, dst, dport, name, kind.value, subflow.wish)
