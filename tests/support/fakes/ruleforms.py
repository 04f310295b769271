"""Which rules Open vSwitch takes; the integration tests hold this against a real one."""

from ipaddress import ip_address
from typing import NamedTuple

from steering.model import rules
from steering.model.rules import (
    DecTtl,
    FieldValue,
    GroupAction,
    Move,
    OutputAction,
    PopVlan,
    PushVlan,
    Resubmit,
    Rule,
    SetBits,
    SetField,
    Table,
    ToController,
    UnwildcardFlow,
)
from tests.support.fakes.packet import ARP, ICMP, ICMPV6, IPV4, IPV6, TCP, UDP


class RuleRefused(Exception):
    """Open vSwitch would answer OFPT_ERROR to this rule."""


# field -> the match pairs of which one must be there (OpenFlow 1.3, 7.2.3.8)
_IP = (("eth_type", IPV4), ("eth_type", IPV6))
_ND = (("icmpv6_type", 135), ("icmpv6_type", 136))
_PREREQUISITES: dict[str, tuple[tuple[str, int], ...]] = {
    **dict.fromkeys(("in_port", "metadata", "eth_src", "eth_dst", "eth_type", "vlan_vid", "ingress"), ()),
    **dict.fromkeys(("arp_op", "arp_spa", "arp_tpa", "arp_sha", "arp_tha"), (("eth_type", ARP),)),
    **dict.fromkeys(("ip_proto", "ip_dscp", "nw_ttl", "ip_frag"), _IP),
    **dict.fromkeys(("ipv4_src", "ipv4_dst"), (("eth_type", IPV4),)),
    **dict.fromkeys(("ipv6_src", "ipv6_dst"), (("eth_type", IPV6),)),
    **dict.fromkeys(("tcp_src", "tcp_dst", "tcp_flags"), (("ip_proto", TCP),)),
    **dict.fromkeys(("udp_src", "udp_dst"), (("ip_proto", UDP),)),
    **dict.fromkeys(("icmpv4_type", "icmpv4_code"), (("ip_proto", ICMP),)),
    **dict.fromkeys(("icmpv6_type", "icmpv6_code"), (("ip_proto", ICMPV6),)),
    **dict.fromkeys(("ipv6_nd_target", "nd_reserved", "nd_options_type"), _ND),
    "ipv6_nd_sll": (("icmpv6_type", 135),),
    "ipv6_nd_tll": (("icmpv6_type", 136),),
}
_MASKABLE = (
    "metadata",
    "vlan_vid",
    "ip_frag",
    "eth_src",
    "eth_dst",
    "tcp_flags",
    "arp_spa",
    "arp_tpa",
    "ipv4_src",
    "ipv4_dst",
    "ipv6_src",
    "ipv6_dst",
)
EVERY_BIT = (1 << 128) - 1


def as_int(value: object) -> int:
    """A field's value as a number, whatever its text form."""
    if isinstance(value, int):
        return value
    text = str(value)
    if text.count(":") == 5 and len(text) == 17:
        return int(text.replace(":", ""), 16)
    return int(ip_address(text))


def _check_prerequisite(name: str, match: dict[str, FieldValue]) -> None:
    if name not in _PREREQUISITES:
        raise RuleRefused(f"unknown field {name}")
    needed = _PREREQUISITES[name]
    if needed and not any(match.get(field) == value for field, value in needed):
        raise RuleRefused(f"{name} needs one of {needed} in the match, which is {match}")


def check(rule: Rule) -> None:
    """Raise RuleRefused for what Open vSwitch refuses."""
    match = dict(rule.match)
    if len(match) != len(rule.match) or tuple(sorted(rule.match, key=lambda pair: pair[0])) != rule.match:
        raise RuleRefused(f"the match is not sorted pairs: {rule.match}")
    for name, value in rule.match:
        _check_prerequisite(name, match)
        if isinstance(value, tuple):
            if name not in _MASKABLE:
                raise RuleRefused(f"{name} takes no mask")
            if as_int(value[0]) & ~as_int(value[1]):
                raise RuleRefused(f"{name}: bits outside the mask in {value}")
    if rule.goto is not None and not rule.table < rule.goto <= max(Table):
        raise RuleRefused(f"goto {rule.goto} from table {rule.table}")
    if rule.metadata is not None and rule.metadata[0] & ~rule.metadata[1]:
        raise RuleRefused("metadata written outside its mask")
    for action in rule.actions:
        _check_action(action, match)


def _check_action(action: rules.RuleAction, match: dict[str, FieldValue]) -> None:
    """Prerequisites are held against the rule's match, even where an earlier action changed the packet."""
    match action:
        case SetField(name, _):
            _check_prerequisite(name, match)
            if name in ("in_port", "eth_type", "ip_proto", "tcp_flags"):
                raise RuleRefused(f"{name} cannot be set")
        case SetBits(name):
            _check_prerequisite(name, match)
        case Move(source, target, _):
            _check_prerequisite(source, match)
            _check_prerequisite(target, match)
        case DecTtl():
            _check_prerequisite("nw_ttl", match)
        case OutputAction() | GroupAction() | Resubmit() | UnwildcardFlow() | PushVlan() | PopVlan():
            pass
        case ToController(meter):
            if not meter:
                raise RuleRefused("a copy to the controller without a meter")
        case _:
            raise RuleRefused(f"unknown action {action!r}")


class Compiled(NamedTuple):
    rule: Rule
    tests: tuple[tuple[str, int, int], ...]  # field, value, mask


def compile_rule(rule: Rule) -> Compiled:
    tests = []
    for name, value in rule.match:
        plain, mask = value if isinstance(value, tuple) else (value, None)
        tests.append((name, as_int(plain), EVERY_BIT if mask is None else as_int(mask)))
    return Compiled(rule, tuple(tests))
