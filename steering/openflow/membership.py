"""Which connection may speak for which switch: known datapath ids, certificates, and two that give one id.

A datapath id is a number that anybody can send. Without TLS the first to come has it; then only the addresses that
can reach the listener protect the network.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from steering.model.ids import DatapathId
from steering.model.network import Site
from steering.openflow.encode import message
from steering.openflow.reader import Disconnect, Type

CLAIM_TIME = 3.0  # seconds in which the live connection has to answer when another gives its datapath id


class Claimant(Protocol):
    """A connection whose datapath id is known."""

    id: DatapathId

    @property
    def names(self) -> frozenset[str] | None: ...

    def write(self, data: bytes) -> None: ...

    def disconnect(self, reason: Disconnect) -> None: ...

    def admit(self) -> None: ...


class Membership:
    """What the site says of datapath ids and certificates. `site` is asked anew each time: it changes."""

    def __init__(self, site: Callable[[], Site]) -> None:
        self._site = site

    def refuses(self, dpid: DatapathId, names: frozenset[str] | None) -> Disconnect | None:
        """Why a connection may not be switch `dpid`; `names`: of its certificate, None without TLS.

        Under TLS a switch shows a certificate of the name that the site gives it. A certificate of one switch is
        good for no other datapath id, known or not.
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
    """Connections that give the datapath id of a live one. The live one is asked for an echo, and stays when it
    answers in time; until then the newcomer gets nothing. One newcomer of an id waits, others are refused."""

    def __init__(self, live: Mapping[DatapathId, Claimant], xids: Iterator[int]) -> None:
        self._live = live
        self._xids = xids
        self._open: dict[DatapathId, _Claim] = {}

    def claim(self, newcomer: Claimant, now: float) -> None:
        """The newcomer is through its handshake: admit it, refuse it, or let it wait."""
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
        """An echo reply of a switch: whether a claim had asked for it. Then the claim is refused."""
        claim = self._open.get(holder.id)
        if claim is None or claim.xid != xid:
            return False
        del self._open[holder.id]
        claim.newcomer.disconnect(Disconnect.DUPLICATE)
        return True

    def ended(self, channel: Claimant, was_live: bool) -> None:
        """A connection is over. Where it was the live one, who waits for its place gets it."""
        claim = self._open.get(channel.id)
        if claim is not None and (was_live or claim.newcomer is channel):
            del self._open[channel.id]
            if was_live:
                claim.newcomer.admit()

    def expire(self, now: float) -> None:
        """Live connections that did not answer in time give way."""
        for dpid in [dpid for dpid, claim in self._open.items() if claim.deadline <= now]:
            self._live[dpid].disconnect(Disconnect.REPLACED)
