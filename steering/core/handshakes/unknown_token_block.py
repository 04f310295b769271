"""Blocks flows that sent a join with an unknown token: their edge switch drops their SYNs for a while (D-6.4h).

A switch cannot match a token. Therefore the entry that drops matches the exact flow, so that other hosts behind the same
address (NAT) are not affected. New flows of the same sender are bounded by the SYN meter of the port.
"""

from collections.abc import Mapping
from ipaddress import ip_address

from steering.core.inputs import SynSeen
from steering.core.outputs import Output, SyncRules
from steering.core.part import Part
from steering.core.pipeline.forwarding import SYN, asked_match
from steering.core.pipeline.match_fields import IPV4, IPV6, TCP, match
from steering.core.pipeline.priorities import BLOCKED
from steering.core.sessions.flow_key import FlowKey, flow_key
from steering.model.ids import DatapathId, Token, read_token
from steering.model.rules import Rule, Table, static_cookie

SECONDS = 10.0  # how long a flow is blocked
MOST = 1_024  # most blocked flows; further ones are only metered


class UnknownTokenBlocks(Part):
    """The blocked flows. `epochs`: by switch, the epoch of its latest filling."""

    def __init__(self, epochs: Mapping[DatapathId, int]) -> None:
        self._epochs = epochs
        self._blocked: dict[FlowKey, tuple[float, Token, DatapathId, Rule]] = {}  # in order of deadlines
        self._of_token: dict[Token, list[FlowKey]] = {}  # the same flows

    def __len__(self) -> int:
        return len(self._blocked)

    def block(self, seen: SynSeen, now: float) -> list[Output]:
        """Have the edge switch drop further SYNs of the flow."""
        handshake = seen.handshake
        key = flow_key(handshake.src, handshake.dst, handshake.sport, handshake.dport)
        if key in self._blocked or len(self._blocked) >= MOST:
            return []
        family = handshake.family
        fields = match(
            in_port=seen.port,
            metadata=asked_match(),  # only while there is a controller, because only it ends the block
            eth_type=IPV4 if family == 4 else IPV6,
            ip_proto=TCP,
            tcp_flags=SYN,
            tcp_src=handshake.sport,
            tcp_dst=handshake.dport,
            **{
                f"ipv{family}_src": str(ip_address(handshake.src)),
                f"ipv{family}_dst": str(ip_address(handshake.dst)),
            },
        )
        rule = Rule(Table.CLASSIFY, BLOCKED, fields, cookie=static_cookie(self._epochs[seen.dpid]))
        token = read_token(handshake.token, "big")
        self._blocked[key] = (now + SECONDS, token, seen.dpid, rule)
        self._of_token.setdefault(token, []).append(key)
        return [SyncRules(seen.dpid, (rule,), ())]

    def learnt(self, token: Token) -> list[Output]:
        """A token is known now. The blocks of flows that sent it end."""
        return self._free(list(self._of_token[token])) if token in self._of_token else []

    def tick(self, now: float) -> list[Output]:
        """End the blocks whose time is over."""
        if not self._blocked:
            return []
        over = []
        for key, (deadline, _, _, _) in self._blocked.items():
            if deadline > now:
                break
            over.append(key)
        return self._free(over)

    def _free(self, keys: list[FlowKey]) -> list[Output]:
        outputs: list[Output] = []
        for key in keys:
            _, token, dpid, rule = self._blocked.pop(key)
            others = self._of_token[token]
            others.remove(key)
            if not others:
                del self._of_token[token]
            outputs.append(SyncRules(dpid, (), (rule,)))
        return outputs
