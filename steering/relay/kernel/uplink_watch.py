"""Follows a CPE's uplinks while its relay runs: addresses that come, go and change, and links that go down and come
back.

A DHCP renewal, a PPPoE re-dial or a new IPv6 privacy address changes at once the address from which the relay dials
(`uplinks`). With `apply` it also changes the rules, routes and MPTCP endpoints of that uplink, so that live sessions
join again. netlink only tells that something has happened. The state is then asked for, so that a lost message does
no harm.

The watch has a thread of its own beside the relay's loop. The relay reads `uplinks`, a tuple that is replaced as a
whole.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from ipaddress import ip_address, ip_network
from typing import Any, Protocol

from steering.relay.kernel import uplinks as kernel_uplinks
from steering.relay.kernel.commands import RuleError
from steering.relay.kernel.readable import readable
from steering.relay.kernel.route_netlink import (
    DefaultRoute,
    LinkAddress,
    LinkState,
    NetlinkRefusal,
    NetlinkRefused,
    Refusals,
    RouteSocket,
)
from steering.relay.kernel.side_thread import SideThread
from steering.relay.kernel.stuck_subflows import SubflowReader, stuck_uplinks
from steering.relay.kernel.uplinks import MOST_OLDER, Uplink
from steering.relay.log import Log
from steering.relay.model import PlatformError

GATHER_S = 0.02
"""Seconds in which events are collected, since a renewal deletes an address and adds another."""
AGAIN_S, LONGEST_AGAIN_S = 0.1, 5.0
"""Seconds until a failed change or question is tried again, for example a gateway that is not reachable before its route
exists."""
RESYNC_S = 30.0
"""Seconds after which all settings are made again without an event, in case others have removed some."""
INVITE_S, INVITES = 1.5, 3
"""Seconds, and how often, after which sessions are invited to join once more from an uplink without subflows. The kernel does
not repeat joins that were sent too early."""
LOOK_S, IDLE_S = 0.2, 1.0
"""Seconds between two readings of subflows, while there are some, and while there are none."""
ASIDE_S, LONGEST_ASIDE_S = 1.0, 60.0
"""Seconds for which no session joins from an uplink whose subflows were stuck. Each failed trial doubles them."""
_UNIQUE_LOCAL = ip_network("fc00::/7")  # RFC 4193
_MOST_DOUBLED = 16
"""So often at most: a line may be dead for weeks, and no float holds 2 to the power of 1024."""


class RouteQuestions(Protocol):
    """The questions to the kernel. In a relay it is `RouteSocket`."""

    def link(self, name: str) -> LinkState | None: ...

    def addresses(self, index: int) -> list[LinkAddress]: ...

    def default_routes(self, index: int) -> list[DefaultRoute]: ...


def read(names: Sequence[str]) -> tuple[Uplink, ...]:
    """The uplinks as a watch finds them at its start. Raises RuleError for one that is missing or has no global address."""
    try:
        with closing(RouteSocket(Refusals())) as kernel:
            found = tuple(look(kernel, Uplink(name)) for name in names)
    except (PlatformError, NetlinkRefused) as error:
        raise RuleError(f"the uplinks cannot be read: {error}") from None
    for uplink in found:
        if not uplink.all_addresses:
            raise RuleError(f"--uplink {uplink.interface}: it has no address yet")
    return found


def look(asked: RouteQuestions, before: Uplink) -> Uplink:
    """The current state of an uplink. Raises NetlinkRefused."""
    link = asked.link(before.interface)
    if link is None:
        return Uplink(before.interface)
    addresses = asked.addresses(link.link)
    routes = sorted(asked.default_routes(link.link), key=lambda route: route.metric)
    ways = (_way(routes, 4), _way(routes, 6))
    chosen = (_choose(before, addresses, 4, ways[0]), _choose(before, addresses, 6, ways[1]))
    there = [one.text for one in addresses]
    older = [text for text in before.all_addresses if text in there and text not in chosen]
    gateways = (_gateway(ways[0]), _gateway(ways[1]))
    return Uplink(before.interface, chosen, gateways, tuple(older[:MOST_OLDER]), link.link if link.up else 0)


def _choose(before: Uplink, addresses: Sequence[LinkAddress], version: int, way: DefaultRoute | None) -> str:
    """The address from which connections are opened: the one in use while it is not deprecated, else the best one.

    An address that fits the default route comes first: an interface may have others, such as one for the modem. A
    temporary IPv6 address (RFC 8981) is preferred: a machine that makes them shall use them.
    """
    mine = [one for one in addresses if one.version == version]
    fresh = [one for one in mine if not one.deprecated]
    most = max((_fit(one, way) for one in fresh), default=0)
    fresh = [one for one in fresh if _fit(one, way) == most]
    temporary = any(one.temporary for one in fresh)
    usable = [one for one in fresh if one.temporary == temporary] or mine
    if before.address(version) in (one.text for one in usable):
        return before.address(version)
    best = max(usable, key=lambda one: one.preferred, default=None)
    return "" if best is None else best.text


def _way(routes: Sequence[DefaultRoute], version: int) -> DefaultRoute | None:
    return next((one for one in routes if one.version == version), None)


def _gateway(way: DefaultRoute | None) -> str:
    return "" if way is None else way.gateway


def _fit(one: LinkAddress, way: DefaultRoute | None) -> int:
    """How well an address fits what the default route leads to; more is better.

    IPv4: the route's own source address is best, then an address of the gateway's subnet, as the kernel chooses. IPv6:
    a unique local address (fc00::/7) reaches no server of the Internet.
    """
    if one.version == 6:
        return int(ip_address(one.text) not in _UNIQUE_LOCAL)
    if way is None:
        return 0
    if one.text == way.source:
        return 2
    home = ip_network((one.text, one.length), strict=False)
    return int(bool(way.gateway and one.length) and ip_address(way.gateway) in home)


class UplinkWatch:
    """The watch: call `start`, then `stop`. The constructor raises PlatformError where netlink cannot be used.

    An uplink whose subflows are stuck while those of another make progress is set aside: its subflows are ended.
    After a while sessions may join from it again, which shows whether it works.

    Three functions are called from the watch's thread: `changed(uplink)` for each uplink that has changed, `silent(uplink)`
    for one that is set aside, and `well(uplink)` for one from which sessions have joined again.
    """

    def __init__(
        self,
        names: Sequence[str],
        apply: bool,
        log: Log,
        changed: Callable[[Uplink], None] = lambda _uplink: None,
        silent: Callable[[Uplink], None] = lambda _uplink: None,
        well: Callable[[Uplink], None] = lambda _uplink: None,
    ) -> None:
        self._apply = apply
        self._log = log
        self.changed = changed
        self.silent = silent
        self.well = well
        self.refused = Refusals()
        self.changes = 0
        self.failed = 0  # how often a change or question failed
        self.uplinks: tuple[Uplink, ...] = tuple(Uplink(name) for name in names)
        self._settled = list(self.uplinks)
        self._due: dict[int, float] = {}  # uplinks to settle once more -> when
        self._invited: dict[int, tuple[float, int]] = {}  # uplinks to look at -> when, and how often yet
        self.set_aside = 0  # how often an uplink was set aside
        self._aside: dict[int, float] = {}  # uplinks from which no session joins -> until when
        self._on_trial: dict[
            int, float
        ] = {}  # uplinks from which sessions may join again -> when this has to show
        self._failures: dict[int, int] = {}  # failed trials in a row
        self._answered: deque[str] = deque(maxlen=64)  # interfaces that answered a dial
        self._look_at = 0.0
        self._subflows = SubflowReader()
        self._gone: set[str] = set()  # addresses that the machine no longer has
        self._wait = AGAIN_S
        self._kernel = RouteSocket(self.refused)
        self._thread = SideThread("uplinks", self._run, log)
        self.refresh()

    def start(self) -> None:
        """Begin to follow the uplinks. With `apply`, first make what they need."""
        self._due = dict.fromkeys(range(len(self.uplinks)), 0.0) if self._apply else {}
        self._settle(time.monotonic())
        self._thread.start()

    def stop(self) -> None:
        """End the watch, also if it was never started."""
        self._thread.end()
        self._kernel.close()
        self._subflows.close()

    def answers(self, interface: str) -> None:
        """A dial by an uplink was answered. May be called from any thread."""
        self._answered.append(interface)
        self._thread.wake()

    def document(self) -> list[dict[str, Any]]:
        """For the relay's status: each uplink as it is used now, and its state."""
        return [
            {
                "interface": uplink.interface,
                "up": bool(uplink.index),
                "ipv4": uplink.addresses[0] or None,
                "ipv6": uplink.addresses[1] or None,
                "older": list(uplink.older),
                "aside": number in self._aside,
            }
            for number, uplink in enumerate(self.uplinks)
        ]

    def counters(self) -> dict[str, int]:
        """The numbers of changes, failures, and refused netlink messages by their reason."""
        told = {
            "uplink_changes": self.changes,
            "uplink_failures": self.failed + self._thread.faults,
            "uplinks_set_aside": self.set_aside,
            "subflows_unread": self._subflows.refused,
        }
        return told | {
            f"netlink_refused_{reason.value.replace('-', '_')}": self.refused[reason]
            for reason in NetlinkRefusal
        }

    # -- looking ----------------------------------------------------------------------------------------------------

    def refresh(self) -> list[int]:
        """Ask for the state of all uplinks; the indexes of those that changed. An uplink for which this fails stays
        as it was."""
        found, changed = list(self.uplinks), []
        for number, before in enumerate(self.uplinks):
            try:
                after = look(self._kernel, before)
            except NetlinkRefused as error:
                self._failed(number, str(error))
                continue
            if after != before:
                found[number] = after
                changed.append(number)
        self.uplinks = tuple(found)
        return changed

    def _failed(self, number: int, why: str) -> None:
        self.failed += 1
        self._due[number] = time.monotonic() + self._wait
        self._wait = min(2 * self._wait, LONGEST_AGAIN_S)
        self._log.peer_event("uplink not followed", interface=self.uplinks[number].interface, reason=why)

    # -- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        resync = time.monotonic() + RESYNC_S
        while not self._thread.is_ending:
            now = time.monotonic()
            invited = (due for due, _ in self._invited.values())
            trials = (*self._aside.values(), *self._on_trial.values())
            until = min([resync, self._look_at, *self._due.values(), *invited, *trials])
            watched = [self._thread.woken.fileno(), self._kernel.fileno()]
            ready = readable(watched, until - now)
            if self._thread.is_ending:
                return
            if self._thread.woken.fileno() in ready:
                self._thread.woken.recv(4_096)
            if self._kernel.fileno() in ready:
                time.sleep(GATHER_S)
                self._kernel.happened()
            now = time.monotonic()
            if now >= resync:
                resync = now + RESYNC_S
                self._due |= dict.fromkeys(range(len(self.uplinks)), now) if self._apply else {}
            try:
                self._turn(now)
            except Exception as error:
                # A defect of this program must not end the watch: nobody would follow the uplinks any more.
                self.failed += 1
                self._log.peer_event("uplinks not followed", reason=str(error) or type(error).__name__)
                time.sleep(AGAIN_S)

    def _turn(self, now: float) -> None:
        before = self.uplinks
        for number in self.refresh():
            self.changes += 1
            after = self.uplinks[number]
            if self._apply:
                self._gone |= set(before[number].all_addresses) - set(after.all_addresses)
            self._tell(after)
            self.changed(after)
            self._aside.pop(number, None)
            self._on_trial.pop(number, None)
            self._failures.pop(number, None)
            self._wait = AGAIN_S
            self._due[number] = now
        self._readmit(now)
        self._settle(now)
        self._abandon()
        self._watch_subflows(now)
        self._invite(now)

    def _abandon(self) -> None:
        """End connections from addresses that are gone, once other uplinks are joined or the new address exists."""
        there = {address for uplink in self.uplinks for address in uplink.all_addresses}
        for address in self._gone - there:
            kernel_uplinks.abandon(address)
        self._gone.clear()

    def _tell(self, after: Uplink) -> None:
        self._log.event(
            "uplink changed",
            interface=after.interface,
            up=bool(after.index),
            ipv4=after.addresses[0] or None,
            ipv6=after.addresses[1] or None,
        )

    def _settle(self, now: float) -> None:
        """Settle the uplinks that are due. Those for which this fails are tried again later."""
        for number in [number for number, due in self._due.items() if due <= now]:
            del self._due[number]
            if not self._apply:
                continue
            after = self.uplinks[number]
            if not after.index:
                if after.all_addresses and not self._carried_elsewhere(number):
                    continue  # no route can be made now; its subflows may go on when it is back
                after = Uplink(after.interface)
            try:
                kernel_uplinks.settle(number, self._settled[number], after, number not in self._aside)
            except RuleError as error:
                self._failed(number, str(error))
            else:
                if after.all_addresses != self._settled[number].all_addresses and after.all_addresses:
                    self._invited[number] = (now + INVITE_S, INVITES)
                self._settled[number] = after
                self._wait = AGAIN_S

    # -- dead lines -------------------------------------------------------------------------------------------------

    def _watch_subflows(self, now: float) -> None:
        """Set aside each uplink whose subflows are stuck while another's are acknowledged."""
        usable = [one for number, one in enumerate(self.uplinks) if one.index and number not in self._aside]
        if not self._apply or len(usable) < 2:
            self._look_at = now + IDLE_S
            return
        if now < self._look_at:
            return
        found = self._subflows.read()
        ours = {address for uplink in usable for address in uplink.all_addresses}
        self._look_at = now + (LOOK_S if any(one.source in ours for one in found) else IDLE_S)
        for uplink in stuck_uplinks(usable, found):
            self._put_aside(self.uplinks.index(uplink), now)

    def _put_aside(self, number: int, now: float) -> None:
        uplink, failed = self.uplinks[number], self._failures.get(number, 0)
        self._failures[number] = failed + 1
        self._aside[number] = now + min(ASIDE_S * 2 ** min(failed, _MOST_DOUBLED), LONGEST_ASIDE_S)
        self._on_trial.pop(number, None)
        self.set_aside += 1
        kernel_uplinks.set_aside(uplink)
        self.silent(uplink)
        if not failed:
            self._log.event("uplink set aside", interface=uplink.interface, reason="nothing is acknowledged")

    def _readmit(self, now: float) -> None:
        """Let sessions join again from uplinks that answered a dial, or were set aside for long enough, and see
        whether they do."""
        answered = set()
        while self._answered:
            answered.add(self._answered.popleft())
        for number, until in list(self._aside.items()):
            if until <= now or self.uplinks[number].interface in answered:
                del self._aside[number]
                self._due[number] = now
                self._on_trial[number] = now + INVITE_S
        for number, until in list(self._on_trial.items()):
            if until > now:
                continue
            del self._on_trial[number]
            others = (one for at, one in enumerate(self.uplinks) if at != number and at not in self._aside)
            try:
                joined = kernel_uplinks.carries_subflows(self.uplinks[number])
                judged = joined or any(kernel_uplinks.carries_subflows(one) for one in others)
            except RuleError as error:
                self._failed(number, str(error))
                continue
            if judged and not joined:
                self._put_aside(number, now)
            elif self._failures.pop(number, 0) and joined:
                self.well(self.uplinks[number])
                self._log.event("uplink answers again", interface=self.uplinks[number].interface)

    def _invite(self, now: float) -> None:
        """Invite sessions once more to join from a new uplink, where sessions use other uplinks and none has joined
        from this one."""
        for number, (due, left) in list(self._invited.items()):
            if due > now:
                continue
            del self._invited[number]
            mine = self._settled[number]
            others = [one for one in self._settled if one is not mine and one.all_addresses]
            try:
                if kernel_uplinks.carries_subflows(mine) or not any(
                    kernel_uplinks.carries_subflows(one) for one in others
                ):
                    continue
                kernel_uplinks.invite(number, mine)
            except RuleError as error:
                self._failed(number, str(error))
            if left > 1:
                self._invited[number] = (now + INVITE_S, left - 1)

    def _carried_elsewhere(self, number: int) -> bool:
        """Whether another uplink is up. If so, subflows of an uplink without a carrier are ended, and sessions join
        when it is back."""
        others = (uplink for at, uplink in enumerate(self.uplinks) if at != number)
        return any(uplink.index and uplink.all_addresses for uplink in others)
