"""What a running relay tells of itself: its status document, and its counters alone for those who ask often."""

import contextlib
from collections.abc import Iterable
from typing import Any, NamedTuple

from steering.relay.agent import Agent
from steering.relay.counters import Counters, kernel_counters
from steering.relay.ident import Ident
from steering.relay.inbound import Inbound
from steering.relay.mappinglog import MappingLog
from steering.relay.options import RelayOptions
from steering.relay.reporting import Reporter
from steering.relay.serverleg import ServerLegs
from steering.relay.session import Session
from steering.relay.source import Sources
from steering.relay.status import STATUS_VERSION, describe


class Telling(NamedTuple):
    """The relay's parts that are told of; `sessions` are those that live."""

    options: RelayOptions
    counters: Counters
    sessions: Iterable[Session]
    sources: Sources
    mapping_log: MappingLog
    legs: ServerLegs
    ident: Ident | None
    agent: Agent | None
    inbound: Inbound | None
    reporter: Reporter | None

    def counted(self) -> dict[str, Any]:
        """`counters` and `kernel` of the document, without a look at any session's socket."""
        found = self.counters.as_dict() | self.legs.counters()
        found["ident_asked"] = self.ident.asked if self.ident is not None else 0
        for session in self.sessions:
            found["bytes_up"] += session.client_leg.received
            found["bytes_down"] += session.server_leg.received
        if self.reporter is not None:
            found |= self.reporter.counters()
        return {"counters": found, "kernel": kernel_counters()}

    def document(self, now: float) -> dict[str, Any]:
        """The status document; `bytes_up` and `bytes_down` of `counters` hold live sessions too."""
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
            **({"agent": self.agent.document()} if self.agent is not None else {}),
            **({"inbound": self.inbound.document()} if self.inbound is not None else {}),
        }
