"""The server legs of hosts' connections: whichever way a host came, its server is offered MPTCP by the same memory."""

import io
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from steering.relay.addresses.mapping_log import open_mapping_log
from steering.relay.addresses.source_pools import SourcePools
from steering.relay.counters import RelayCounters
from steering.relay.kernel.sockets import IPPROTO_MPTCP
from steering.relay.log import Log
from steering.relay.loop.poller import Poller
from steering.relay.model import Endpoint, MptcpOffering, ServerLeg
from steering.relay.reception import Reception
from steering.relay.session.dialler import dial_own
from steering.relay.session.explicit_server import ExplicitTerms, SocksPreface
from tests.support.loopback import pair
from tests.support.relay_options import options

CLIENT = Endpoint("10.1.0.2", 40_000)


class Desk:
    """A relay's reception without listeners, beside a plain server of this machine. `protocols`: of its dials, in order."""

    def __init__(self, server: socket.socket) -> None:
        self.protocols: list[int] = []
        self.server = Endpoint(*server.getsockname()[:2])
        self.counters = RelayCounters()
        self._poller = Poller()
        settings = options(offering=MptcpOffering(plain_ttl=600), dscp=None)
        log = Log(False, False, io.StringIO())
        journal = open_mapping_log(settings, None)
        self.reception = Reception(
            settings, log, self._dial, self._poller, self.counters,
            SourcePools(settings.source, lambda _n: 0, journal.observer), journal,
        )  # fmt: skip
        self._hosts: list[socket.socket] = []

    def _dial(self, _client: Endpoint, server: Endpoint, leg: ServerLeg, mark: int) -> socket.socket:
        return dial_own(leg, server, mark=mark)

    def host(self) -> socket.socket:
        """A host's connection, as the relay has accepted it."""
        far, near = pair()
        near.setblocking(False)
        self._hosts.append(far)
        return near

    def intercepted(self) -> None:
        """A host that dialled the server itself."""
        self.reception._take(CLIENT, self.server, self.host(), None)
        self._until_up()

    def asked_for(self) -> None:
        """A host that addressed the MCP, and said which server."""
        accepted = self.host()
        preface = SocksPreface(ExplicitTerms(lambda _server: True), CLIENT)
        self.reception._explicit(CLIENT, self.server, accepted, preface, b"")
        self._until_up()

    def _until_up(self) -> None:
        *_, session = self.reception.sessions
        self.protocols.append(session.server_leg.sock.proto)
        until = time.monotonic() + 30
        while session.connecting:
            assert time.monotonic() < until and session.end is None, "the server was not reached"
            self._poller.turn(0.02)

    def close(self) -> None:
        """End all sessions."""
        self.reception.close()
        self._poller.close_pending()
        for host in self._hosts:
            host.close()


@pytest.fixture
def desk() -> Iterator[Desk]:
    with closing(socket.create_server(("127.0.0.1", 0))) as server, closing(Desk(server)) as made:
        yield made


WAYS: dict[str, Callable[[Desk], None]] = {"transparent": Desk.intercepted, "explicit": Desk.asked_for}


@pytest.mark.row("N-5.6.1b")
@pytest.mark.parametrize("first", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("then", WAYS.values(), ids=WAYS)
def test_a_server_that_fell_back_is_dialled_by_plain_tcp_next_time_whichever_way_hosts_come(
    desk: Desk, first: Callable[[Desk], None], then: Callable[[Desk], None]
) -> None:
    first(desk)
    then(desk)
    assert desk.protocols == [IPPROTO_MPTCP, socket.IPPROTO_TCP]
    assert desk.reception.legs.counters()["plain_for_fallback"] == 1
