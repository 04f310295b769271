"""The client for asyncio. It runs requests and streams of SteeringClient in threads, and needs only the standard library."""

import asyncio
import socket
import threading
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from steering.cli import client
from steering.cli.commands.events import ReceivedEvent
from steering.client.asynchronous_operations import AsyncOperations
from steering.client.controller import SteeringClient, WantedEvents

AHEAD = 64  # events that are read ahead of the caller; the controller queues more for a slow reader


class AsyncSteeringClient(AsyncOperations):
    """A controller: the methods of SteeringClient as coroutines. A cancelled request goes on in its thread until its answer
    comes. A cancelled or closed stream ends at once."""

    def __init__(self, controller: SteeringClient) -> None:
        self._controller = controller

    @classmethod
    def at(
        cls,
        url: str | None = None,
        *,
        token_file: str | None = None,
        state_dir: str | None = None,
        ca_file: str | None = None,
        client_cert: str | None = None,
        timeout: float | None = None,
    ) -> "AsyncSteeringClient":
        """As SteeringClient.at: reads files, and opens no connection."""
        return cls(
            SteeringClient.at(
                url,
                token_file=token_file,
                state_dir=state_dir,
                ca_file=ca_file,
                client_cert=client_cert,
                timeout=timeout,
            )
        )

    async def events(
        self,
        *,
        mcp: str | None = None,
        kinds: Collection[str] = (),
        after: str | None = None,
        again: bool = True,
        controller: str | None = None,
        since: str | None = None,
    ) -> AsyncGenerator[ReceivedEvent, None]:
        """Events as they happen, as SteeringClient.events. Close the generator (contextlib.aclosing) if you leave it before
        its end: only then its connection ends at once."""
        wanted = WantedEvents(mcp, kinds, after, again, controller, since)
        while True:
            stream = _Stream(self._controller, wanted)
            try:
                while (event := await stream.next()) is not None:
                    if wanted.takes(event):
                        yield event
            except client.Unavailable as error:
                wanted.lost(error)
            finally:
                stream.close()
            if not again:
                return
            await asyncio.sleep(wanted.next_wait())

    async def etag(self, *path: str) -> str | None:
        """The entity tag of a resource, for `if_match`."""
        return await asyncio.to_thread(self._controller.etag, *path)

    async def _ask(
        self,
        method: str,
        path: Sequence[str],
        *,
        body: Mapping[str, Any] | None = None,
        text: str | None = None,
        query: Mapping[str, object] | None = None,
        if_match: str | None = None,
    ) -> dict[str, Any]:
        return await asyncio.to_thread(
            self._controller._ask, method, path, body=body, text=text, query=query, if_match=if_match
        )


class _Stream:
    """A thread that reads one stream of events for the running loop. Call `next` until it returns None, then `close`."""

    def __init__(self, controller: SteeringClient, wanted: WantedEvents) -> None:
        self._controller, self._wanted = controller, wanted
        self._loop = asyncio.get_running_loop()
        self._read: asyncio.Queue[ReceivedEvent | Exception | None] = asyncio.Queue()
        self._room = threading.Semaphore(AHEAD)
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_closed = False
        threading.Thread(target=self._run, name="steering-events", daemon=True).start()

    async def next(self) -> ReceivedEvent | None:
        """The next event; None at the stream's end. Raises the error that ended the stream."""
        told = await self._read.get()
        self._room.release()
        if isinstance(told, Exception):
            raise told
        return told

    def close(self) -> None:
        """Close the connection, whatever the thread is doing."""
        with self._lock:
            self._is_closed = True
            if self._socket is not None:
                _hang_up(self._socket)
        self._room.release()

    def _run(self) -> None:
        try:
            for event in self._controller.event_stream(self._wanted, self._opened):
                if not self._put(event):
                    return
        except Exception as error:
            self._put(error)
        else:
            self._put(None)

    def _opened(self, connection: socket.socket) -> None:
        with self._lock:
            self._socket = connection
            if self._is_closed:
                _hang_up(connection)

    def _put(self, told: ReceivedEvent | Exception | None) -> bool:
        """Queue an event, an error or the end for `next`, when there is room. False when the stream is closed or the loop is
        over."""
        self._room.acquire()
        if self._is_closed:
            return False
        with suppress(RuntimeError):  # the loop is over
            self._loop.call_soon_threadsafe(self._read.put_nowait, told)
            return True
        return False


def _hang_up(connection: socket.socket) -> None:
    """Shut a connection down, which wakes the thread that reads from it. SSLSocket.shutdown would discard the TLS session
    while that thread uses it, so the method of the plain socket is called."""
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
