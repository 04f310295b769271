"""Decides who may use an MCP, by a chain of authorisers (N-5.3, B24). An authoriser that fails counts as a denial, unless
the policy says otherwise.

Lists and the registry answer at once. Other authorisers are asked by the output `Authorise`, and answer by the input
`Authorised`. Meanwhile the SYN is held. The number of held SYNs is bounded, with a share for each access port, and so is
the time. Answers are cached by source address: while an answer lasts, its source is not asked about again (N-5.3d).
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from steering.core.admission.acl import holds, kept_out, verdict
from steering.core.counters import Counters
from steering.core.inputs import AclReplaced, Authorised, PairingsReplaced, RegistryReplaced, SynSeen
from steering.core.network.site_index import Attachment, SiteMap
from steering.core.outputs import Authorise, Output
from steering.core.part import Part
from steering.model.authorisation import AclEntry, Authorizer, ListAnswer, RegistryEntry, Verdict
from steering.model.network import Address, Network, PortRole
from steering.model.policy import Policy
from steering.model.prefix_table import PrefixTable
from steering.model.session import Refusal

Question = tuple[bytes, Authorizer]
SynFlow = tuple[bytes, bytes, int, int]  # addresses and ports
Replay = Callable[[Attachment, SynSeen, float], list[Output]]
MOST_TTL = 86_400.0  # seconds; bounds the ttl that an authoriser gives
ERROR_TTL = 5.0  # seconds for which an authoriser that failed is not asked again about a source


class AuthorizerAnswer(NamedTuple):
    """A cached answer. `until`: engine time, seconds. `klass`: the class that the authoriser gave, "" for none."""

    verdict: Verdict
    until: float
    klass: str


class PendingQuestion:
    """An open question, and the SYNs that wait for its answer. SYNs are stored by flow, so that a repeated SYN takes no
    more room. `before`: what earlier authorisers of the chain said, which counts for these SYNs also if it is over when
    the answer comes. Otherwise the first authoriser would be asked again then, and so on without end."""

    __slots__ = ("before", "deadline", "number", "syns")

    def __init__(self, number: int, deadline: float, before: dict[Question, AuthorizerAnswer]) -> None:
        self.number = number
        self.deadline = deadline
        self.before = before
        self.syns: dict[SynFlow, tuple[Attachment, SynSeen]] = {}


class Authorisation(Part):
    """The chain of authorisers. `granted` (source -> class): the classes that authorisers gave, for the chooser."""

    def __init__(
        self, sitemap: SiteMap, policy: Policy, counters: Counters, granted: dict[bytes, str]
    ) -> None:
        self._map = sitemap
        self._counters = counters
        self._granted = granted
        self._answers: dict[Question, AuthorizerAnswer] = {}
        self._waiting: dict[Question, PendingQuestion] = {}  # in order of deadlines: all have one timeout
        self._asked: dict[int, Question] = {}
        self._replayed: dict[Question, AuthorizerAnswer] = {}  # counts for the SYNs that are replayed now
        self._held_at: dict[int, int] = {}  # waypoint -> SYNs held
        self._held = 0
        self._next = 1
        self._live: tuple[AclEntry, ...] = ()  # before the policy's own entries
        self._paired: frozenset[bytes] = frozenset()  # addresses of paired devices
        self._registry: tuple[RegistryEntry, ...] = ()
        self._members: PrefixTable[RegistryEntry] = PrefixTable()
        self._accesses = max(1, sum(a.role is PortRole.ACCESS for a in sitemap.attachments.values()))
        self._take(policy)

    def policy_replaced(self, policy: Policy, now: float) -> list[Output]:
        """Another policy is in force. All cached answers are dropped, because the chain may have changed."""
        self._take(policy)
        return []

    def _take(self, policy: Policy) -> None:
        self.policy = policy
        self._terms = policy.authorization
        self._answers.clear()
        self._granted.clear()
        self._share = max(1, self._terms.held // self._accesses)
        self._look()

    def _look(self) -> None:
        """Set `asks`: whether SYNs have to be judged at all. They need not if the list is empty, no other authoriser is in
        the chain, and everything else is allowed."""
        terms = self._terms
        self.asks = (
            terms.otherwise is ListAnswer.DENY
            or bool(terms.required)
            or any(who is not Authorizer.ACL for who in terms.authorizers)
            or bool(self.acl)
        )

    def take(self, given: AclReplaced | RegistryReplaced | PairingsReplaced) -> None:
        """Replace a live list. The caller changes the switches' rules."""
        if isinstance(given, AclReplaced):
            self._live = given.entries
            self._look()
        elif isinstance(given, PairingsReplaced):
            self._paired = given.addresses
        else:
            self._register(given.subscribers)

    def _register(self, registry: tuple[RegistryEntry, ...]) -> None:
        """Index the registry. If two subscribers have an address, the one with the longer prefix counts."""
        self._registry = registry
        self._members = PrefixTable((prefix, one) for one in registry for prefix in one.addresses)

    @property
    def acl(self) -> tuple[AclEntry, ...]:
        """All entries in order: first those of the live list, then those of the policy. The first match counts."""
        return (*self._live, *self.policy.acl)

    # ---- what switches enforce ------------------------------------------------------------------

    def admitted(self, access: str, prefixes: tuple[Network, ...]) -> tuple[Network, ...]:
        """The sources that an access network's ports let in: all of its prefixes, or where authorisation is required only
        the hosts that the registry allows (N-5.3a, N-7.2d)."""
        if access not in self._terms.required:
            return prefixes
        inside = {
            address
            for one in self._registry
            if one.allowed
            for address in one.addresses
            if any(_within(address, prefix) for prefix in prefixes)
        }
        return tuple(sorted(inside, key=str))

    def kept_out(self, access: str, prefixes: tuple[Network, ...]) -> Iterator[tuple[Network, Address]]:
        """Pairs of a source prefix and an MCP's address: the first switch drops packets from the prefix to the address
        (N-5.3b)."""
        entries = self.acl
        if not entries:
            return
        for mcp in self._map.site.mcps:
            for target in mcp.addresses:
                for source in kept_out(entries, access, prefixes, target):
                    yield source, target

    # ---- a SYN ----------------------------------------------------------------------------------

    def _is_stranger(self, source: bytes) -> bool:
        """Whether a host may not open MPTCP to an MCP's own address, because it is neither a client of the policy's
        `cpe_acl` nor a paired device (N-5.3f)."""
        rule = self.policy.cpe_acl
        return rule.block and source not in self._paired and not holds(rule.clients, source)

    def listed(self, attachment: Attachment, seen: SynSeen) -> Refusal | None:
        """The refusal by the lists alone, if they are in the chain, else None. Joins are judged by this method only, because
        their session was authorised with its first SYN."""
        if Authorizer.ACL not in self._terms.authorizers:
            return None
        denied = verdict(self.acl, attachment.name, seen.handshake) is Verdict.DENY
        return Refusal.ACL if denied else None

    def judge(self, attachment: Attachment, seen: SynSeen, now: float) -> list[Output] | Refusal | None:
        """Judge a first SYN. None lets it pass, a Refusal refuses it. A list of outputs means that the SYN waits for an
        authoriser. It is replayed when the answer has come."""
        if seen.handshake.dst in self._map.mcp_addresses and self._is_stranger(seen.handshake.src):
            return Refusal.CPE_ACL
        for who in self._terms.authorizers:
            said = self._ask(who, attachment, seen, now)
            if not isinstance(said, Verdict):
                return said
            if said is Verdict.ERROR:
                said = Verdict.ALLOW if who in self._terms.fail_open else Verdict.DENY
            if said is Verdict.ALLOW:
                return None
            if said is Verdict.DENY:
                return Refusal.ACL if who is Authorizer.ACL else Refusal.UNAUTHORISED
        closed = self._terms.otherwise is ListAnswer.DENY or attachment.name in self._terms.required
        return Refusal.UNAUTHORISED if closed else None

    def _ask(
        self, who: Authorizer, attachment: Attachment, seen: SynSeen, now: float
    ) -> Verdict | Refusal | list[Output]:
        source = seen.handshake.src
        if who is Authorizer.ACL:
            return verdict(self.acl, attachment.name, seen.handshake)
        if who is Authorizer.REGISTRY:
            known = self._registered(source)
            if known is None:
                return Verdict.NO_OPINION
            return Verdict.ALLOW if known.allowed else Verdict.DENY
        answer = self._said((source, who), now)
        return self._hold((source, who), attachment, seen, now) if answer is None else answer.verdict

    def _said(self, question: Question, now: float) -> AuthorizerAnswer | None:
        """The answer to a question that counts now, None if there is none."""
        answer = self._answers.get(question)
        if answer is not None:
            if answer.until > now:
                return answer
            self._forget(question)
        return self._replayed.get(question)

    def _registered(self, address: bytes) -> RegistryEntry | None:
        return self._members.of(address)

    # ---- questions and answers ------------------------------------------------------------------

    def _hold(
        self, question: Question, attachment: Attachment, seen: SynSeen, now: float
    ) -> list[Output] | Refusal:
        waiting = self._waiting.get(question)
        handshake = seen.handshake
        key = (handshake.src, handshake.dst, handshake.sport, handshake.dport)
        place = attachment.waypoint.id
        if waiting is None or key not in waiting.syns:
            if self._held >= self._terms.held or self._held_at.get(place, 0) >= self._share:
                return Refusal.AUTHORISATION_QUEUE_FULL
            self._held += 1
            self._held_at[place] = self._held_at.get(place, 0) + 1
        outputs: list[Output] = []
        if waiting is None:
            before = self._before(question, now)
            waiting = PendingQuestion(self._next, now + self._terms.timeout, before)
            self._waiting[question], self._asked[self._next] = waiting, question
            self._next += 1
            known = self._registered(handshake.src)
            subscriber = known.pseudonym if known else ""
            outputs.append(
                Authorise(
                    waiting.number,
                    question[1],
                    handshake.src,
                    attachment.name,
                    subscriber,
                    self._terms.timeout,
                )
            )
        waiting.syns[key] = (attachment, seen)
        return outputs

    def _before(self, question: Question, now: float) -> dict[Question, AuthorizerAnswer]:
        """What the authorisers before this one in the chain said about the source."""
        source, last = question
        found: dict[Question, AuthorizerAnswer] = {}
        for who in self._terms.authorizers:
            if who is last:
                break
            answer = self._said((source, who), now)
            if answer is not None:
                found[source, who] = answer
        return found

    def answered(self, given: Authorised, replay: Replay, now: float) -> list[Output]:
        """An authoriser answered. The SYNs that waited are replayed, or wait for the next authoriser of the chain."""
        question = self._asked.get(given.request)
        if question is None:
            return []  # the answer came too late, or nobody asked
        return self._settle(question, given.verdict, given.klass, given.ttl, replay, now)

    def expire(self, replay: Replay, now: float) -> list[Output]:
        """Count authorisers that did not answer in time as failed."""
        outputs: list[Output] = []
        while self._waiting:
            question, waiting = next(iter(self._waiting.items()))
            if waiting.deadline > now:
                break
            outputs += self._settle(question, Verdict.ERROR, "", None, replay, now, "timeout")
        return outputs

    def _settle(
        self, question: Question, said: Verdict, klass: str, ttl: float | None, replay: Replay, now: float,
        outcome: str = "",
    ) -> list[Output]:  # fmt: skip
        waiting = self._waiting.pop(question)
        del self._asked[waiting.number]
        source, who = question
        self._counters.authorisations[who.value, outcome or said.value] += 1
        lasts = self._lasts(said) if ttl is None else min(max(ttl, 1.0), MOST_TTL)
        while len(self._answers) >= self._terms.cached:
            self._forget(next(iter(self._answers)))
        answer = self._answers[question] = AuthorizerAnswer(said, now + lasts, klass)
        if klass and said is Verdict.ALLOW:
            self._granted[source] = klass
        outputs: list[Output] = []
        for attachment, _ in waiting.syns.values():
            self._held -= 1
            left = self._held_at[attachment.waypoint.id] - 1
            if left:
                self._held_at[attachment.waypoint.id] = left
            else:
                del self._held_at[attachment.waypoint.id]
        self._replayed = {**waiting.before, question: answer}
        for attachment, seen in waiting.syns.values():
            outputs += replay(attachment, seen, now)
        self._replayed = {}
        return outputs

    def _lasts(self, said: Verdict) -> float:
        if said is Verdict.ERROR:
            return min(self._terms.denied_ttl, ERROR_TTL)
        return self._terms.denied_ttl if said is Verdict.DENY else self._terms.ttl

    def _forget(self, question: Question) -> None:
        if self._answers.pop(question).klass:
            self._granted.pop(question[0], None)

    @property
    def waiting(self) -> int:
        """How many SYNs are held."""
        return self._held


def _within(inner: Network, outer: Network) -> bool:
    return (
        inner.version == outer.version
        and inner.prefixlen >= outer.prefixlen
        and int(inner.network_address) & int(outer.netmask) == int(outer.network_address)
    )
