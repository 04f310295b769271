"""Meters of their own for known hosts of a port that gets more SYNs than its meter lets through.

The meter of a port knows no source: behind a flood an honest host's SYN passes as seldom as any of the flood's. A Linux host
that lost three SYNs with MP_CAPABLE in a row, and then connects by plain TCP, gives up MPTCP towards everybody for an hour
(docs/design/measured.rst, lost first SYNs). So while a port is short, the SYNs of its known hosts pass by the port's meter:
each host has a rule that matches its address and MAC, and a meter of its own. What has another source, or a known address
and another MAC, is left with the port's meter.

Known is a host that answered ARP or neighbour discovery, or has a lease. Those that have a session come first, since a
third ACK shows that the address is its host's. Bounded: hosts of a port, addresses of one machine, rules, and what they let
through together, which is never more than the port's meter lets through on a quiet day; ports in all and of a
switch, and the numbers of meters of a switch, which its short ports share. Who has none for that is counted by the reason.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from itertools import islice
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

RATE, BURST = 10, 50  # SYNs of one host: a second, and at once
HOSTS = 64  # of one port
ADDRESSES = 4  # of one MAC: one machine may have a whole /64, and would take all meters of its port
RULES = 512  # of one port; a host has one for each service port, if these are few, and each address of an MCP
RULES_EACH = 128  # of one host; where MCPs have more addresses, SYNs to them stay with the port's meter
LOOKED_AT = 1_024  # hosts of a port, those that were heard last
# Short ports that are helped at once, in all. Each is looked at each second, which takes 0.6 ms where it has LOOKED_AT hosts. A switch
# tells of all of its ports at once, and others wait for that: with 500 short ports it took 0.3 s. Where several switches have access
# ports, half of them at most are of one: hosts that flood one switch take nothing from those of another.
PORTS = 128
HOLD = 10.0  # seconds for which its hosts keep their meters after a port was short last


class KnownHostRules(NamedTuple):
    """The rules of one host at its port, and all they were made from."""

    source: tuple[object, ...]
    rules: dict[RuleKey, Rule]


class ShortPort:
    """A port whose meter drops SYNs, or did lately."""

    __slots__ = ("meters", "rules", "until")

    def __init__(self) -> None:
        self.until = 0.0  # when its hosts lose their meters
        self.meters: dict[bytes, int] = {}  # by address
        self.rules: dict[bytes, KnownHostRules] = {}  # by address


class KnownHosts:
    """`hosts_at`: the known hosts of each waypoint, address -> MAC, the one that was heard last at the end. `is_served`:
    whether an address has a session whose host was heard. `epochs`: of each switch's filling. `disabled`, for the
    negative control: no host ever gets a meter."""

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
        self._at: dict[tuple[DatapathId, int], PortRef] = {}  # the port of each meter that is given
        self._unused: dict[DatapathId, deque[int]] = {}  # numbers of meters
        self.policy_replaced(policy)

    def policy_replaced(self, policy: Policy) -> None:
        """Rules and their number follow at the next count of each port."""
        self._limit = policy.meters.syn_per_port
        self._service_ports = few_ports(policy)
        self._look_at_mcps()

    def _look_at_mcps(self) -> None:
        """SYNs to addresses of MCPs are punted whatever their port (pipeline.forwarding.classify_rules), so each is a rule
        of every host of its family, and counts among these."""
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
        """A switch is about to get all it should hold: none of these. They come back with its next count."""
        for port in [port for port in self._short if port.dpid == dpid]:
            del self._short[port]
        for place in [place for place in self._at if place[0] == dpid]:
            del self._at[place]
        self._unused.pop(dpid, None)

    def counted(self, at: Waypoint, rate: float, now: float) -> list[Output]:
        """So many SYNs a second came to the meter of an access port."""
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
        """Ports that were short and are not counted any more, as those of a switch that is away, leave room for
        others."""
        over = [port for port, short in self._short.items() if short.until <= now]
        return [output for port in over for output in self._end(port)]

    def _end(self, port: PortRef) -> list[Output]:
        """A port is not short any more: its hosts lose their meters."""
        short = self._short.pop(port)
        self._take_back(port, short, list(short.meters))
        gone = tuple(rule for host in short.rules.values() for rule in host.rules.values())
        return [SyncRules(port.dpid, (), gone)] if gone else []

    def dropped(self, dpid: DatapathId, meter: int, now: float) -> PortRef | None:
        """A host's own meter dropped SYNs: its port, None for a meter that is nobody's. Were a host that floods to
        lose its meter, the port's would be short again at once."""
        port = self._at.get((dpid, meter))
        if port is not None:
            self._short[port].until = now + HOLD
        return port

    def _follow(self, at: Waypoint, short: ShortPort) -> list[Output]:
        """Bring the rules of a short port to what its hosts are now. Most hosts are what they were a second ago: their
        rules are not made again."""
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
        """How many hosts of a port may have a meter where others of its switch are short, too. A port that has more gives
        some back at its next count."""
        return min(self._most, HOST_SYN_METERS // max(1, sum(one.dpid == dpid for one in self._short)))

    def _refuse(self, why: HostMeterRefusal, hosts: int) -> None:
        if hosts > 0:
            self._counters.host_meters_refused[why] += hosts

    def _chosen(self, known: dict[bytes, bytes], short: ShortPort, most: int) -> dict[bytes, bytes]:
        """The hosts that get a meter, so many at `most`. No machine (MAC) has a second one before each has one. Hosts with a
        session come first, then hosts with a meter, then hosts that were heard last. Of one MAC only the first few are
        taken."""
        heard = list(islice(reversed(known.items()), LOOKED_AT))
        heard.sort(key=lambda host: (not self._is_served(host[0]), host[0] not in short.meters))
        of_mac: Counter[bytes] = Counter()
        turns: list[dict[bytes, bytes]] = [{} for _ in range(ADDRESSES)]
        for address, mac in heard:
            if of_mac[mac] < ADDRESSES:
                turns[of_mac[mac]][address] = mac
                of_mac[mac] += 1
        few = [host for turn in turns for host in turn.items()]
        self._refuse(HostMeterRefusal.MACHINE, len(heard) - len(few))
        why = HostMeterRefusal.PORT if most == self._most else HostMeterRefusal.SWITCH
        self._refuse(why, len(few) - most)
        return dict(few[:most])

    def _give(self, port: PortRef, short: ShortPort, hosts: Mapping[bytes, bytes]) -> tuple[MeterBand, ...]:
        """Meters for the hosts that have none. A switch may have no number left; then the others keep theirs."""
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
        """The numbers of meters are free again, to be given first: a switch keeps every meter that it ever had, so
        there are no more of them than were in use at once. A number may be given on in the same change. A switch sets
        meters first, adds rules and then deletes (SyncRules): the next host begins with a whole burst, and for a moment
        shares it with the one before."""
        for address in addresses:
            meter = short.meters.pop(address)
            del self._at[port.dpid, meter]
            self._unused[port.dpid].appendleft(meter)
