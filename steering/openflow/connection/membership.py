"""Decides which connection may speak for which switch: by known datapath ids, by certificates, and by claims to the
same id.

A datapath id is a number that anybody can send. Without TLS the first connection with an id gets it. Then the only
protection is that few hosts can reach the listener.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from steering.model.ids import DatapathId
from steering.model.network import Site
from steering.openflow.messages.encode import message
from steering.openflow.messages.reader import Disconnect, Type

CLAIM_TIME = 3.0  # seconds in which the live connection has to answer when another one claims its datapath id


class Claimant(Protocol):
    """A connection whose datapath id is known."""

    id: DatapathId

    @property
    def names(self) -> frozenset[str] | None: ...

    def write(self, data: bytes) -> None: ...

    def disconnect(self, reason: Disconnect) -> None: ...

    def admit(self) -> None: ...


class Membership:
    """Checks datapath ids and certificates by the site, which may change. `site` returns the current site."""

    def __init__(self, site: Callable[[], Site]) -> None:
        self._site = site

    def refuses(self, dpid: DatapathId, names: frozenset[str] | None) -> Disconnect | None:
        """Why a connection may not be switch `dpid`; None where it may. `names`: those of its certificate, None
        without TLS.

        With TLS, a switch needs a certificate with the name that the site gives to it. A certificate of one switch is
        not valid for another datapath id, known or not.
        """
        site = self._site()
        known = {number: name for name, number in site.switches.items()}
        if dpid not in known and not site.unknown_switches:
            return Disconnect.UNKNOWN_SWITCH
        if names is None:
            return None
        wanted = {number: site.switch_certificates.get(name, name) for number, name in known.items()}
        if dpid in wanted:
            return None if wanted[dpid] in names else Disconnect.WRONG_CERTIFICATE
        return Disconnect.WRONG_CERTIFICATE if names & set(wanted.values()) else None


class _Claim:
    __slots__ = ("deadline", "newcomer", "xid")

    def __init__(self, newcomer: Claimant, xid: int, deadline: float) -> None:
        self.newcomer = newcomer
        self.xid = xid
        self.deadline = deadline


class Claims:
    """Claims of new connections to the datapath id of a live one. The live connection is sent an echo request, and
    stays if it answers within CLAIM_TIME. Until then the new connection is not admitted. For each id one new connection
    waits; others are refused."""

    def __init__(self, live: Mapping[DatapathId, Claimant], xids: Iterator[int]) -> None:
        self._live = live
        self._xids = xids
        self._open: dict[DatapathId, _Claim] = {}

    def claim(self, newcomer: Claimant, now: float) -> None:
        """A new connection has completed its handshake: admit it, refuse it, or let it wait."""
        holder = self._live.get(newcomer.id)
        if holder is None:
            newcomer.admit()
        elif newcomer.id in self._open:
            newcomer.disconnect(Disconnect.DUPLICATE)
        else:
            xid = next(self._xids)
            self._open[newcomer.id] = _Claim(newcomer, xid, now + CLAIM_TIME)
            holder.write(message(Type.ECHO_REQUEST, xid, b""))

    def answered(self, holder: Claimant, xid: int) -> bool:
        """Take an echo reply of a switch. Returns whether the reply answers the request of a claim; if so, the claim is
        refused."""
        claim = self._open.get(holder.id)
        if claim is None or claim.xid != xid:
            return False
        del self._open[holder.id]
        claim.newcomer.disconnect(Disconnect.DUPLICATE)
        return True

    def ended(self, channel: Claimant, was_live: bool) -> None:
        """A connection has ended. If it was the live one, the connection that waits for its id is admitted."""
        claim = self._open.get(channel.id)
        if claim is not None and (was_live or claim.newcomer is channel):
            del self._open[channel.id]
            if was_live:
                claim.newcomer.admit()

    def expire(self, now: float) -> None:
        """End live connections that did not answer in time, in favour of the claims. A controller of a cluster may have
        ceased to decide for the switch meanwhile: then its connection stays, and the new one has to try again."""
        for dpid in [dpid for dpid, claim in self._open.items() if claim.deadline <= now]:
            holder = self._live.get(dpid)
            if holder is not None:
                holder.disconnect(Disconnect.REPLACED)
            else:
                self._open.pop(dpid).newcomer.disconnect(Disconnect.DUPLICATE)
