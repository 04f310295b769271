"""The status document of a running relay, and its counters alone, for readers that ask often."""

import contextlib
from collections.abc import Iterable
from typing import Any, NamedTuple

from steering.relay.addresses.mapping_log import MappingJournal
from steering.relay.addresses.source_pools import SourcePools
from steering.relay.controller.agent import Agent
from steering.relay.controller.hostile_json import counted
from steering.relay.controller.inbound_ports import InboundPorts
from steering.relay.controller.reports import Reporter
from steering.relay.counters import RelayCounters, kernel_counters
from steering.relay.observe.status_socket import STATUS_VERSION, describe
from steering.relay.options.relay_options import RelayOptions
from steering.relay.session.ident import IdentClient
from steering.relay.session.relay_session import RelaySession
from steering.relay.session.server_legs import ServerLegs
from steering.relay.session.uplink_dialler import UplinkDialler


class StatusDocument(NamedTuple):
    """The parts of the relay that the document describes. `sessions`: the live ones."""

    options: RelayOptions
    counters: RelayCounters
    sessions: Iterable[RelaySession]
    sources: SourcePools
    mapping_log: MappingJournal
    legs: ServerLegs
    ident: IdentClient | None
    agent: Agent | None
    inbound: InboundPorts | None
    reporter: Reporter | None
    uplinks: UplinkDialler | None = None

    def counted(self) -> dict[str, Any]:
        """`counters` and `kernel` of the document. It reads no session's socket."""
        found = self.counters.as_dict() | self.legs.counters()
        found["ident_asked"] = self.ident.asked if self.ident is not None else 0
        for session in self.sessions:
            found["bytes_up"] += session.client_leg.received
            found["bytes_down"] += session.server_leg.received
        if self.reporter is not None:
            found |= self.reporter.counters()
        if self.uplinks is not None:
            found |= self.uplinks.counters()
        for part in (self.agent, self.inbound):
            if part is not None:
                found |= {
                    f"events_refused_{reason.replace('-', '_')}": number
                    for reason, number in counted(part.refused_events).items()
                }
        return {"counters": found, "kernel": kernel_counters()}

    def document(self, now: float) -> dict[str, Any]:
        """The status document. `bytes_up` and `bytes_down` of `counters` include live sessions."""
        sessions = []
        for session in self.sessions:
            with contextlib.suppress(OSError):
                sessions.append(describe(session, now))
        options = self.options
        return {
            "version": STATUS_VERSION,
            "role": options.role.value,
            "source_mode": str(options.source),
            "sources": self.sources.document(),
            "mapping_log": self.mapping_log.document(),
            "server_leg": options.server_leg.value,
            "servers": self.legs.document(now),
            "ports": list(options.ports),
            "ranges": [list(bounds) for bounds in options.ranges],
            "explicit": {offer.protocol.value: offer.port for offer in options.explicit},
            "sessions": sessions,
            **self.counted(),
            **({"uplinks": self.uplinks.document()} if self.uplinks is not None else {}),
            **({"agent": self.agent.document()} if self.agent is not None else {}),
            **({"inbound": self.inbound.document()} if self.inbound is not None else {}),
        }
