"""Switches that run model rules: OpenFlow 1.3 semantics on header fields, as strict as Open vSwitch.

What Open vSwitch would refuse is refused here too (a field without its prerequisite, a goto backwards, a
`dec_ttl` in a rule that does not match IP), and what it would leave to chance is an error: two rules of
one priority that both match a packet.
"""

from collections import Counter
from dataclasses import replace
from ipaddress import ip_address
from typing import NamedTuple

from steering.core.inputs import EntriesRead, ObservedEntry, ObservedHost
from steering.core.outputs import (
    ANEW,
    NATURAL,
    FillSwitch,
    Release,
    RemoveEntries,
    RenewRules,
    Steer,
    SyncRules,
)
from steering.core.outputs import Output as EngineOutput
from steering.model.rules import (
    EPOCH_MASK,
    IN_PORT,
    OWNER,
    ROLE_SHIFT,
    VLAN_PRESENT,
    CookieKind,
    DecTtl,
    FailoverGroup,
    FieldValue,
    GroupAction,
    MeterBand,
    Move,
    OutputAction,
    PacketClass,
    PopVlan,
    PushVlan,
    Resubmit,
    Rule,
    SetBits,
    SetField,
    Table,
    ToController,
    label_mac,
)
from steering.model.session import Entry
from steering.model.session_rule import session_rule
from tests.support.fakes.packet import Packet, packet_of
from tests.support.fakes.ruleforms import Compiled, RuleRefused, as_int, check, compile_rule

Pairs = tuple[tuple[str, FieldValue], ...]
Key = tuple[int, int, Pairs]


class Ambiguous(Exception):
    """Two rules of one table and priority match one packet: which one wins is undefined."""


class Loop(Exception):
    """A packet would go round for ever."""


class Copy(NamedTuple):
    """A packet-in."""

    dpid: int
    packet_class: PacketClass
    in_port: int
    table: int
    packet: Packet
    metadata: int
    meter: int
    cookie: int


_RESUBMITS = 16


class _Walk:
    """One packet on its way through one switch."""

    def __init__(self, switch: "FakeFlowTable", in_port: int, packet: Packet, metadata: int = 0) -> None:
        self.switch = switch
        self.in_port = in_port
        self.packet = packet
        self.metadata = metadata
        self.outputs: list[tuple[int, Packet]] = []
        self.copies: list[Copy] = []
        self._resubmits = 0

    def value(self, name: str) -> int | None:
        if name == "in_port":
            return self.in_port
        if name == "metadata":
            return self.metadata
        value = getattr(self.packet, name)
        return None if value is None else as_int(value)

    def run(self, table: int | None) -> None:
        """From `table` on, until nothing more is to do."""
        while table is not None:
            rule = self.switch.lookup(table, self)
            if rule is None or not self._apply(rule):
                return
            if rule.metadata is not None:
                value, mask = rule.metadata
                self.metadata = self.metadata & ~mask | value
            table = rule.goto

    def _apply(self, rule: Rule) -> bool:
        """False: the packet is dropped here."""
        for action in rule.actions:
            match action:
                case SetField(name, value):
                    self.set(name, value)
                case SetBits():
                    self._set_bits(action)
                case GroupAction(number):
                    self._group(self.switch.groups[number])
                case Move(source, target, _):
                    self.packet = replace(self.packet, **{target: getattr(self.packet, source)})
                case OutputAction(port):
                    if port != self.in_port:  # a packet leaves at its ingress port by IN_PORT only
                        self.outputs.append((self.in_port if port == IN_PORT else port, self.packet))
                case ToController():
                    self._copy(rule, action)
                case PushVlan():
                    self.packet = replace(self.packet, tags=(0, *self.packet.tags))
                case PopVlan():
                    self.packet = replace(self.packet, tags=self.packet.tags[1:])
                case DecTtl():
                    if not self.dec_ttl():
                        return False
                case Resubmit(table):
                    self._resubmits += 1
                    if self._resubmits > _RESUBMITS:
                        raise Loop(f"resubmit to {table} once too often")
                    self.run(table)
        return True

    def _group(self, group: FailoverGroup) -> None:
        """The first bucket that is live, on a copy of the packet."""
        kept = self.packet, self.in_port
        for bucket in group.buckets:
            if bucket.watch not in self.switch.dead:
                for action in bucket.actions:
                    if isinstance(action, SetBits):
                        self._set_bits(action)
                    else:
                        assert isinstance(action, OutputAction), action
                        if action.port != self.in_port:
                            self.outputs.append((action.port, self.packet))
                break
        self.packet, self.in_port = kept

    def _set_bits(self, action: SetBits) -> None:
        if action.name == "in_port":
            self.in_port = action.value
            return
        mask = (1 << action.bits) - 1 << action.start
        value = as_int(getattr(self.packet, action.name)) & ~mask | action.value << action.start
        self.set(action.name, ":".join(f"{byte:02x}" for byte in value.to_bytes(6, "big")))

    def set(self, name: str, value: str | int) -> None:
        if name == "metadata":
            self.metadata = int(value)
        elif name == "ingress":
            self.in_port = int(value)
        elif name == "vlan_vid":
            if not self.packet.tags:
                raise RuleRefused("set vlan_vid of a packet without a tag")
            tags = (int(value) & ~VLAN_PRESENT, *self.packet.tags[1:])
            self.packet = replace(self.packet, tags=tags)
        elif name == "nd_options_type":  # the option that was there becomes one of the other type
            mac = self.packet.ipv6_nd_sll or self.packet.ipv6_nd_tll
            sll, tll = (mac, None) if value == 1 else (None, mac)
            self.packet = replace(self.packet, ipv6_nd_sll=sll, ipv6_nd_tll=tll)
        elif getattr(self.packet, name) is not None:  # a switch cannot add a header, nor an ND option
            self.packet = replace(self.packet, **{name: value})  # type: ignore[arg-type]

    def dec_ttl(self) -> bool:
        ttl = self.packet.nw_ttl
        if ttl is None or ttl <= 1:
            return False
        self.packet = replace(self.packet, nw_ttl=ttl - 1)
        return True

    def _copy(self, rule: Rule, action: ToController) -> None:
        static = rule.cookie >> 52 == OWNER << 4 | CookieKind.STATIC
        packet_class = PacketClass(rule.cookie & 0xFFFF_FFFF) if static else PacketClass.NONE
        if rule.cookie >> 52 == OWNER << 4 | CookieKind.SESSION:
            packet_class = PacketClass.WATCHED
        self.copies.append(
            Copy(
                self.switch.dpid,
                packet_class,
                self.in_port,
                rule.table,
                self.packet,
                self.metadata,
                action.meter,
                rule.cookie,
            )
        )


class FakeFlowTable:
    """One switch. `packets` counts by rule key, as the switch's own counters do."""

    def __init__(self, dpid: int = 1) -> None:
        self.dpid = dpid
        self.packets: Counter[Key] = Counter()
        self.meters: dict[int, MeterBand] = {}
        self.groups: dict[int, FailoverGroup] = {}
        self.dead: set[int] = set()  # ports without carrier
        self._rules: dict[Key, Compiled] = {}
        self._tables: dict[int, list[Compiled]] = {}
        self._entries: dict[Key, Entry] = {}
        self._ages: dict[Key, float] = {}  # seconds since the last ADD, of rules with a time-out

    def rules(self, table: int | None = None) -> list[Rule]:
        """Rules held, of one table or all, highest priority first."""
        held = [known.rule for known in self._rules.values() if table is None or known.rule.table == table]
        return sorted(held, key=lambda rule: (rule.table, -rule.priority))

    def entries(self) -> list[Entry]:
        """Session entries held."""
        return list(self._entries.values())

    def clear(self) -> None:
        """As after a reboot."""
        self.__init__(self.dpid)  # type: ignore[misc]

    def install(self, rule: Rule) -> None:
        """ADD: replaces an entry of the same key and keeps its counter."""
        check(rule)
        self._rules[rule.key] = compile_rule(rule)
        self._tables.pop(rule.table, None)
        self._ages.pop(rule.key, None)
        if rule.hard_timeout:
            self._ages[rule.key] = 0.0

    def age(self, seconds: float) -> None:
        """Time passes: rules whose hard time-out is over go."""
        for key in list(self._ages):
            self._ages[key] += seconds
            if self._ages[key] >= self._rules[key].rule.hard_timeout:
                self.remove(self._rules[key].rule)

    def remove(self, rule: Rule) -> None:
        """DELETE_STRICT; no error for one that is not there."""
        if self._rules.pop(rule.key, None) is not None:
            self._tables.pop(rule.table, None)
            self._entries.pop(rule.key, None)
            self._ages.pop(rule.key, None)
            self.packets.pop(rule.key, None)

    def add_entry(self, entry: Entry) -> None:
        rule = session_rule(entry)
        self.install(rule)
        self._entries[rule.key] = entry

    def remove_entry(self, entry: Entry) -> None:
        """Only while it bears this cookie, as templates.entry_delete says."""
        rule = session_rule(entry)
        held = self._rules.get(rule.key)
        if held is not None and held.rule.cookie == entry.cookie:
            self.remove(rule)

    def lookup(self, table: int, walk: _Walk) -> Rule | None:
        """The rule that `walk` meets in `table`, counted; None is a table miss: drop."""
        if table not in self._tables:
            held = [known for known in self._rules.values() if known.rule.table == table]
            self._tables[table] = sorted(held, key=lambda known: -known.rule.priority)
        found: Rule | None = None
        for known in self._tables[table]:
            if found is not None and known.rule.priority < found.priority:
                break
            if all(_fits(walk.value(name), value, mask) for name, value, mask in known.tests):
                if found is not None:
                    raise Ambiguous(f"at {self.dpid:x}, {walk.packet}: {found} and {known.rule}")
                found = known.rule
        if found is not None:
            self.packets[found.key] += 1
        return found

    def output_of(self, in_port: int, packet: Packet) -> tuple[list[tuple[int, Packet]], list[Copy]]:
        """(port, packet as it leaves) for each output, and the controller's copies."""
        walk = _Walk(self, in_port, packet)
        walk.run(Table.GUARD)
        return walk.outputs, walk.copies

    def release(self, rel: Release) -> tuple[list[tuple[int, Packet]], list[Copy]]:
        """A packet-out back into the pipeline (see templates.release)."""
        walk = _Walk(self, rel.in_port, packet_of(rel.frame))
        if rel.waypoint == ANEW:
            walk.run(Table.GUARD)
        elif rel.waypoint == NATURAL:
            walk.set("metadata", rel.role << ROLE_SHIFT)
            walk.run(Table.ROUTE)
        else:
            walk.set("eth_dst", label_mac(rel.waypoint, rel.path))
            if walk.dec_ttl():
                walk.run(Table.LABEL)
        return walk.outputs, walk.copies

    def apply(self, output: EngineOutput) -> None:
        """Rules of an engine output that are this switch's; its packets are FakeNetwork.apply's matter."""
        match output:
            case SyncRules(dpid, add, delete, meters) if dpid == self.dpid:
                self.meters |= {band.meter: band for band in meters}
                self.groups |= {group.group: group for group in output.groups}
                for rule in add:
                    self._check_meter(rule)
                    self.install(rule)
                for rule in delete:
                    self.remove(rule)
            case RenewRules(dpid, rules) if dpid == self.dpid:
                for rule in rules:
                    self.install(rule)
            case FillSwitch(dpid) if dpid == self.dpid:
                self._fill(output)
            case Steer(entries, _):
                for entry in (e for e in entries if e.dpid == self.dpid):
                    self.add_entry(entry)
            case RemoveEntries(entries):
                for entry in (e for e in entries if e.dpid == self.dpid):
                    self.remove_entry(entry)

    def _check_meter(self, rule: Rule) -> None:
        for action in rule.actions:
            if isinstance(action, GroupAction) and action.group not in self.groups:
                raise RuleRefused(f"group {action.group} is unknown")
        if rule.meter and rule.meter not in self.meters:
            raise RuleRefused(f"meter {rule.meter} is unknown")

    def _fill(self, fill: FillSwitch) -> None:
        self.meters = {band.meter: band for band in fill.meters}
        self.groups = {group.group: group for group in fill.groups}
        for rule in (*fill.forwarding, *fill.admission):
            for action in rule.actions:
                if isinstance(action, ToController) and action.meter not in self.meters:
                    raise RuleRefused(f"meter {action.meter} is unknown")
            self._check_meter(rule)
            self.install(rule)
        for entry in fill.entries:
            self.add_entry(entry)
        for entry in fill.stale:
            self.remove_entry(entry)
        for rule in self.rules():
            kind = rule.cookie >> 52
            ours = kind in (OWNER << 4 | CookieKind.STATIC, OWNER << 4 | CookieKind.HOST)
            if ours and (rule.cookie & EPOCH_MASK) >> 32 != fill.epoch & 0xFFFF:
                self.remove(rule)

    def read(self) -> EntriesRead:
        """What the controller would read back by cookie."""
        entries = [ObservedEntry(entry, self.packets[key]) for key, entry in self._entries.items()]
        hosts = dict.fromkeys(host for rule in self.rules(Table.HOST) if (host := self._host(rule)))
        return EntriesRead(self.dpid, entries, list(hosts))

    def _host(self, rule: Rule) -> ObservedHost | None:
        """A neighbour's rule; an empty address for one that takes all that is led to its waypoint."""
        match = dict(rule.match)
        macs = [a.value for a in rule.actions if isinstance(a, SetField) and a.name == "eth_dst"]
        ports = [a.port for a in rule.actions if isinstance(a, OutputAction)]
        metadata = match.get("metadata")
        if not macs or not ports or not isinstance(metadata, tuple):
            return None
        target = match.get("ipv4_dst") or match.get("ipv6_dst")
        address = ip_address(str(target)).packed if target else b""
        mac = bytes.fromhex(str(macs[0]).replace(":", ""))
        return ObservedHost(self.dpid, as_int(metadata[0]), address, mac, ports[0])


def _fits(actual: int | None, value: int, mask: int) -> bool:
    return actual is not None and actual & mask == value
