"""Which entry of the ledger each host's connection has: what the controller hears of it begins and ends by that."""

import socket
import time

from steering.relay.controller.session_ledger import SessionLedger
from steering.relay.kernel.sockets import mptcp_info, name_of
from steering.relay.model import Endpoint
from steering.relay.session.relay_session import RelaySession


class LedgerEntries:
    """Entries by the connection of their host. Without a `ledger` nothing is written down."""

    def __init__(self, ledger: SessionLedger | None) -> None:
        self._ledger = ledger
        self._ids: dict[socket.socket, int] = {}

    def begin(self, accepted: socket.socket, client: Endpoint, server: Endpoint) -> None:
        """A host's connection was accepted. Whatever becomes of it, the network has seen it stand."""
        if self._ledger is not None:
            info = mptcp_info(accepted)
            token = None if info is None else info.token
            self._ids[accepted] = self._ledger.begin(token, client, server, time.time())

    def answered(self, session: RelaySession) -> None:
        """The server of a session answered. A port kept for a device (N-5.2.1e): who knocked is nobody's M-session,
        what the device answered is one."""
        if self._ledger is None or session.client_leg.sock in self._ids:
            return
        info = mptcp_info(session.server_leg.sock)
        if info is not None:
            own = name_of(session.server_leg.sock)
            self._ids[session.client_leg.sock] = self._ledger.begin(
                info.token, session.server, own, time.time()
            )

    def end(self, accepted: socket.socket, how: str) -> None:
        """A host's connection is over; nothing where it has no entry, or no more. `how`: a SessionEnd's value, or
        that it never became a session."""
        number = self._ids.pop(accepted, None)
        if number is not None and self._ledger is not None:
            self._ledger.end(number, how, time.time())
