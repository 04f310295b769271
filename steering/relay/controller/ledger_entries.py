"""The ledger entry of each host's connection. The ledger (`session_ledger`) is what the controller is told of sessions."""

import socket
import time

from steering.relay.controller.session_ledger import SessionLedger
from steering.relay.kernel.sockets import mptcp_info, name_of
from steering.relay.model import Endpoint
from steering.relay.session.relay_session import RelaySession


class LedgerEntries:
    """The numbers of ledger entries by the host's socket. Without a `ledger` nothing is recorded."""

    def __init__(self, ledger: SessionLedger | None) -> None:
        self._ledger = ledger
        self._ids: dict[socket.socket, int] = {}

    def begin(self, accepted: socket.socket, client: Endpoint, server: Endpoint) -> None:
        """Enter a host's accepted connection. It is entered even if no session comes of it, as the network has seen it open."""
        if self._ledger is not None:
            info = mptcp_info(accepted)
            token = None if info is None else info.token
            self._ids[accepted] = self._ledger.begin(token, client, server, time.time())

    def answered(self, session: RelaySession) -> None:
        """Enter a session whose server leg stands, if it is not entered yet. That is so at a port kept for a device
        (N-5.2.1e): there the leg to the device is the M-session, and the accepted connection is not."""
        if self._ledger is None or session.client_leg.sock in self._ids:
            return
        info = mptcp_info(session.server_leg.sock)
        if info is not None:
            own = name_of(session.server_leg.sock)
            self._ids[session.client_leg.sock] = self._ledger.begin(
                info.token, session.server, own, time.time()
            )

    def end(self, accepted: socket.socket, how: str) -> None:
        """End the entry of a connection, if it has one. `how`: the value of a SessionEnd, or a word for a connection that
        never became a session."""
        number = self._ids.pop(accepted, None)
        if number is not None and self._ledger is not None:
            self._ledger.end(number, how, time.time())
