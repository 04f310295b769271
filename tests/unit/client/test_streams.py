"""A stream of events that its reader leaves: the asynchronous client hangs up at once, by TCP and by TLS."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from steering.client import AsyncSteeringClient
from steering.client.asynchronous import AHEAD
from tests.support.rest_calls import certificates

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
MORE = b"x" * 2_000  # sockets keep some 1,000 of such events
PATIENCE = 30.0  # seconds after which a test fails; the client itself would wait for 60


class Silent:
    """A server that sends `count` events of a stream, and then nothing. `ended`: the reader hung up."""

    def __init__(self, count: int, context: ssl.SSLContext | None) -> None:
        self._count, self._context = count, context
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.sent, self.ended = 0, threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        scheme = "http" if context is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self.listening.getsockname()[1]}"

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            peer, _ = self.listening.accept()
            if self._context is not None:
                peer = self._context.wrap_socket(peer, server_side=True)
            with peer:
                peer.recv(65_536)
                peer.sendall(HEAD)
                for number in range(self._count):
                    peer.sendall(b'id: 0-%d\nevent: alarm\ndata: {"more":"%s"}\n\n' % (number, MORE))
                    self.sent += 1
                peer.settimeout(PATIENCE)
                with contextlib.suppress(ConnectionError, ssl.SSLError):
                    if peer.recv(1):
                        return
                self.ended.set()


@pytest.fixture(params=["tcp", "tls"])
def context(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ssl.SSLContext | None]:
    (tmp_path / "token").write_text("t" * 43)
    (tmp_path / "token").chmod(0o600)
    if request.param == "tcp":
        yield None
        return
    certificates(tmp_path)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(str(tmp_path / "server.crt"), str(tmp_path / "server.key"))
    yield made


def client_of(server: Silent, folder: Path) -> AsyncSteeringClient:
    secured = server.url.startswith("https")
    return AsyncSteeringClient.at(
        server.url,
        token_file=str(folder / "token"),
        ca_file=str(folder / "ca.pem") if secured else None,
    )


def readers() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "steering-events"]


def test_who_is_cancelled_while_nothing_comes_hangs_up(
    context: ssl.SSLContext | None, tmp_path: Path
) -> None:
    server = Silent(1, context)

    async def leave() -> None:
        came = asyncio.Event()

        async def follow() -> None:
            async for _ in client_of(server, tmp_path).events():
                came.set()

        task = asyncio.create_task(follow())
        await asyncio.wait_for(came.wait(), PATIENCE)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(leave())
    assert server.ended.wait(PATIENCE)
    for one in readers():
        one.join(PATIENCE)
    assert not readers()


def test_who_takes_nothing_reads_little_ahead_and_hangs_up(
    context: ssl.SSLContext | None, tmp_path: Path
) -> None:
    count = 100_000
    server = Silent(count, context)

    async def leave() -> None:
        async with aclosing(client_of(server, tmp_path).events()) as events:
            first = await asyncio.wait_for(anext(events), PATIENCE)
            assert first.kind == "alarm"
            before = -1
            while before != server.sent:  # until the server is held up
                before = server.sent
                await asyncio.sleep(0.5)
            ids = [first.id, *[(await anext(events)).id for _ in range(3 * AHEAD)]]
            assert ids == [f"0-{number}" for number in range(len(ids))], "in order, none left out"

    asyncio.run(leave())
    assert server.sent < count
    for one in readers():
        one.join(PATIENCE)
    assert not readers()
