"""Own SYN meters for known hosts of a short port: a port that gets more SYNs than its meter lets pass.

The meter of a port does not distinguish sources. During a SYN flood, an honest host's SYN passes as rarely as one of
the flood. A Linux host whose three SYNs with MP_CAPABLE in a row are lost, and that then connects by plain TCP, does
not use MPTCP with any server for an hour (docs/design/measured.rst, lost first SYNs). So while a port is short, each
known host has a rule of its own, which matches its address and MAC, and a meter of its own. SYNs of other sources,
and SYNs with a known address and another MAC, stay with the port's meter.

A host is known if it answered ARP or neighbour discovery, or has a DHCP lease. Hosts with a session come first: a
third ACK has proved that they have their address. The address that such a host has of the other family takes turns with hosts
without a session: anybody can make up MACs, and whoever has a session may have many addresses. Bounded are

* for each port, the hosts with a meter, the addresses of one MAC, the rules, and the SYNs a second: together the
  hosts' meters let pass no more than the port's meter does;
* the short ports that are helped, in all and of one switch;
* the meter numbers of a switch, which its short ports share.

Hosts that get no meter are counted by the reason.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from itertools import islice, zip_longest
from typing import NamedTuple

from steering.core.counters import Counters, HostMeterRefusal
from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output, SyncRules
from steering.core.pipeline.base_rules import few_ports
from steering.core.pipeline.forwarding import known_host_rules
from steering.model.ids import DatapathId, WaypointId
from steering.model.network import Network, PortRef, PortRole, Waypoint
from steering.model.policy import Policy
from steering.model.rules import HOST_SYN_METERS, Meter, MeterBand, Rule, RuleKey

RATE, BURST = 10, 50  # SYNs of one host: a second, and most at once
HOSTS = 64  # most hosts of one port that have a meter
ADDRESSES = 4  # most addresses of one MAC that have a meter: one machine may have all addresses of a /64
RULES = 512  # most rules of one port; a host has one for each service port (if few) and for each MCP address
RULES_EACH = 128  # most rules of one host; with more MCP addresses, SYNs to MCPs stay with the port's meter
LOOKED_AT = 1_024  # most hosts of a port that are looked at: those that were heard last
# Most short ports that are helped. Each of them is looked at once a second, which takes 0.6 ms with LOOKED_AT hosts. A
# switch reports all its ports at once, and other events wait meanwhile: 500 short ports took 0.3 s. If several
# switches have access ports, at most half of PORTS are of one switch, so that a flood at one switch leaves room for
# the others.
PORTS = 128
HOLD = 10.0  # seconds for which hosts keep their meters after their port was last short


KnownHost = tuple[bytes, bytes]  # address and MAC


class KnownHostRules(NamedTuple):
    """The rules of one host at its port, and the values that they were made from (`source`)."""

    source: tuple[object, ...]
    rules: dict[RuleKey, Rule]


class ShortPort:
    """A port whose meter drops SYNs, or did so within the last HOLD seconds."""

    __slots__ = ("meters", "rules", "until")

    def __init__(self) -> None:
        self.until = 0.0  # when its hosts lose their meters
        self.meters: dict[bytes, int] = {}  # address -> number of its meter
        self.rules: dict[bytes, KnownHostRules] = {}  # address -> its rules


class KnownHosts:
    """Gives meters and rules to the known hosts of short ports.

    * `hosts_at`: waypoint -> address -> MAC of its known hosts. The host that was heard last is at the end.
    * `is_served`: whether an address has a session whose host has sent a third ACK.
    * `epochs`: the epoch of each switch's filling.
    * `disabled`: no host gets a meter, for the negative control.
    """

    def __init__(
        self,
        policy: Policy,
        sitemap: SiteMap,
        hosts_at: Mapping[WaypointId, dict[bytes, bytes]],
        is_served: Callable[[bytes], bool],
        epochs: Mapping[DatapathId, int],
        counters: Counters,
        disabled: bool = False,
    ) -> None:
        self._map = sitemap
        self._counters = counters
        self._hosts_at = hosts_at
        self._is_served = is_served
        self._epochs = epochs
        self._disabled = disabled
        self._short: dict[PortRef, ShortPort] = {}
        self._at: dict[tuple[DatapathId, int], PortRef] = {}  # switch and meter in use -> port
        self._unused: dict[DatapathId, deque[int]] = {}  # switch -> numbers of meters that are not in use
        self.policy_replaced(policy)

    def policy_replaced(self, policy: Policy) -> None:
        """Take the limits of a new policy. The rules of each port follow at its next count."""
        self._limit = policy.meters.syn_per_port
        self._service_ports = few_ports(policy)
        self._look_at_mcps()

    def _look_at_mcps(self) -> None:
        """Compute which addresses of MCPs need rules, and how many hosts of a port can have a meter. SYNs to an MCP's
        address are punted for any destination port (pipeline.forwarding.classify_rules), so each such address is a
        rule more for every host of its family."""
        self._site = self._map.site
        own = [ip_network(x) for x in (*self._map.mcp_addresses, *self._map.virtual)]
        room = RULES_EACH - len(self._service_ports) if self._service_ports else 0
        self._mcps: dict[int, tuple[Network, ...]] = {}  # by the length of an address
        for length, version in ((4, 4), (16, 6)):
            of_family = tuple(network for network in own if network.version == version)
            self._mcps[length] = of_family if len(of_family) <= room else ()
        rules_each = max(1, len(self._service_ports) + max(map(len, self._mcps.values())))
        self._most = min(HOSTS, RULES // rules_each, self._limit // RATE)

    def filled(self, dpid: DatapathId) -> None:
        """A switch is about to be filled, which removes these rules. They come back at the next counts of its ports."""
        for port in [port for port in self._short if port.dpid == dpid]:
            del self._short[port]
        for place in [place for place in self._at if place[0] == dpid]:
            del self._at[place]
        self._unused.pop(dpid, None)

    def counted(self, at: Waypoint, rate: float, now: float) -> list[Output]:
        """The meter of an access port was read: `rate` SYNs came a second. Returns the changes of rules and meters."""
        port = at.port
        short = self._short.get(port)
        outputs: list[Output] = []
        if rate > self._limit and not self._disabled:
            if short is None:
                if not self._has_room(port.dpid):
                    outputs = self._end_uncounted(now)
                if not self._has_room(port.dpid):
                    self._refuse(HostMeterRefusal.IN_ALL, min(LOOKED_AT, len(self._hosts_at.get(at.id, ()))))
                    return outputs
                short = self._short[port] = ShortPort()
            short.until = now + HOLD
        if short is None:
            return []
        return outputs + (self._follow(at, short) if now < short.until else self._end(port))

    def _has_room(self, dpid: DatapathId) -> bool:
        """Whether one more port of a switch may be helped."""
        if len(self._short) >= PORTS:
            return False
        here = sum(one.dpid == dpid for one in self._short)
        ports = self._map.attachments.items()
        return here < PORTS // 2 or not any(
            one.dpid != dpid and at.role is PortRole.ACCESS for one, at in ports
        )

    def _end_uncounted(self, now: float) -> list[Output]:
        """End short ports whose time is over. Ports of a switch that is away are not counted, so they end only here."""
        over = [port for port, short in self._short.items() if short.until <= now]
        return [output for port in over for output in self._end(port)]

    def _end(self, port: PortRef) -> list[Output]:
        """A port is no longer short: remove the rules of its hosts and free their meters."""
        short = self._short.pop(port)
        self._take_back(port, short, list(short.meters))
        gone = tuple(rule for host in short.rules.values() for rule in host.rules.values())
        return [SyncRules(port.dpid, (), gone)] if gone else []

    def dropped(self, dpid: DatapathId, meter: int, now: float) -> PortRef | None:
        """A host's own meter dropped SYNs. Returns the port, or None if the meter is not in use. The port stays short for
        HOLD seconds more: if the flooding host lost its meter, the port's meter would drop SYNs again at once."""
        port = self._at.get((dpid, meter))
        if port is not None:
            self._short[port].until = now + HOLD
        return port

    def _follow(self, at: Waypoint, short: ShortPort) -> list[Output]:
        """Update meters and rules of a short port to its present hosts. Most hosts have not changed since the last
        count: their rules are not made again."""
        if self._site is not self._map.site:
            self._look_at_mcps()
        port = at.port
        hosts = self._chosen(self._hosts_at.get(at.id, {}), short, self._share(port.dpid))
        self._take_back(port, short, [address for address in short.meters if address not in hosts])
        fresh = self._give(port, short, hosts)
        add: list[Rule] = []
        delete: list[Rule] = []
        for address in [address for address in short.rules if address not in short.meters]:
            delete += short.rules.pop(address).rules.values()
        for address, meter in short.meters.items():
            mcps = self._mcps[len(address)]
            source = (hosts[address], meter, self._epochs[port.dpid], self._service_ports, mcps)
            held = short.rules.get(address)
            if held is not None and held.source == source:
                continue
            made = known_host_rules(
                self._epochs[port.dpid], port.port, address, hosts[address], meter, self._service_ports, mcps
            )
            wanted = {rule.key: rule for rule in made}
            had = {} if held is None else held.rules
            short.rules[address] = KnownHostRules(source, wanted)
            add += [rule for key, rule in wanted.items() if had.get(key) != rule]
            delete += [rule for key, rule in had.items() if key not in wanted]
        return [SyncRules(port.dpid, tuple(add), tuple(delete), fresh)] if add or delete else []

    def _share(self, dpid: DatapathId) -> int:
        """How many hosts of a port may have a meter, since the short ports of a switch share its meters. A port that has
        more frees some at its next count."""
        return min(self._most, HOST_SYN_METERS // max(1, sum(one.dpid == dpid for one in self._short)))

    def _refuse(self, why: HostMeterRefusal, hosts: int) -> None:
        if hosts > 0:
            self._counters.host_meters_refused[why] += hosts

    def _chosen(self, known: dict[bytes, bytes], short: ShortPort, most: int) -> dict[bytes, bytes]:
        """The hosts that get a meter, `most` of them at most. Each MAC gets one meter before any gets a second, but for one
        address of the other family of a MAC with a session: such addresses get every other meter. No MAC gets more than
        ADDRESSES. Hosts with a session come first, then hosts that have a meter, then hosts that were heard last."""
        heard = [
            (self._is_served(address), address, mac)
            for address, mac in islice(reversed(known.items()), LOOKED_AT)
        ]
        heard.sort(key=lambda host: (not host[0], host[1] not in short.meters))
        of_mac: Counter[bytes] = Counter()
        family: dict[bytes, int] = {}  # MAC with a session -> length of its first address
        served: list[KnownHost] = []
        seconds: list[KnownHost] = []
        turns: list[list[KnownHost]] = [[] for _ in range(ADDRESSES)]
        for is_served, address, mac in heard:
            turn = of_mac[mac]
            if turn >= ADDRESSES:
                continue
            of_mac[mac] += 1
            if is_served and not turn:
                family[mac] = len(address)
                served.append((address, mac))
            elif family.get(mac, len(address)) != len(address):
                del family[mac]
                seconds.append((address, mac))
            else:
                turns[turn].append((address, mac))
        few = [*served, *_in_turns(seconds, turns[0]), *(host for turn in turns[1:] for host in turn)]
        self._refuse(HostMeterRefusal.MACHINE, len(heard) - len(few))
        why = HostMeterRefusal.PORT if most == self._most else HostMeterRefusal.SWITCH
        self._refuse(why, len(few) - most)
        return dict(few[:most])

    def _give(self, port: PortRef, short: ShortPort, hosts: Mapping[bytes, bytes]) -> tuple[MeterBand, ...]:
        """Give meters to the chosen hosts that have none, as long as the switch has numbers left. Returns the new
        meters."""
        unused = self._unused.get(port.dpid)
        if unused is None:
            first = int(Meter.HOST_SYN_BASE)
            unused = self._unused[port.dpid] = deque(range(first, first + HOST_SYN_METERS))
        fresh = []
        for address in hosts:
            if address in short.meters:
                continue
            if not unused:
                self._refuse(HostMeterRefusal.SWITCH, 1)
                continue
            meter = short.meters[address] = unused.popleft()
            self._at[port.dpid, meter] = port
            fresh.append(MeterBand(meter, RATE, BURST))
        return tuple(fresh)

    def _take_back(self, port: PortRef, short: ShortPort, addresses: list[bytes]) -> None:
        """Free the meters of some addresses. Their numbers are the first to be used again: meters are never deleted, so
        a switch has no more of them than were in use at once. The same change may give a number to another host. A
        switch sets meters, then adds rules, then deletes rules (SyncRules). So the new host begins with a whole burst,
        which it shares with the old host until the old rules are deleted."""
        for address in addresses:
            meter = short.meters.pop(address)
            del self._at[port.dpid, meter]
            self._unused[port.dpid].appendleft(meter)


def _in_turns(one: list[KnownHost], other: list[KnownHost]) -> list[KnownHost]:
    """The items of two lists in turn, and then the rest of the longer list."""
    return [host for pair in zip_longest(one, other) for host in pair if host is not None]
