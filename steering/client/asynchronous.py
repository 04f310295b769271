"""The client for asyncio. Requests and streams are those of SteeringClient, in threads: nothing but the standard library."""

import asyncio
import socket
import threading
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from steering.cli import client
from steering.cli.events import ReceivedEvent
from steering.client.asynchronous_operations import AsyncOperations
from steering.client.controller import SteeringClient, WantedEvents

AHEAD = 64  # events that are read before they are taken; the controller keeps more of a slow reader


class AsyncSteeringClient(AsyncOperations):
    """A controller, as SteeringClient with coroutines. A request that is cancelled goes on in its thread until it has
    its answer; a stream that is left or cancelled ends at once."""

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
        """As SteeringClient.at. It reads files, and asks nobody."""
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
        """Events as they happen, as SteeringClient.events. Close it (contextlib.aclosing) where you leave it before its
        end: its connection ends then, else when it is collected."""
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
    """A thread that reads one stream of events for a running loop: `next` until None, then `close`."""

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
        """The next event; None at the end. Raises what ended it."""
        told = await self._read.get()
        self._room.release()
        if isinstance(told, Exception):
            raise told
        return told

    def close(self) -> None:
        """Hang up, wherever the thread is."""
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
        """Hand it over as soon as there is room; False when nobody takes it any more."""
        self._room.acquire()
        if self._is_closed:
            return False
        with suppress(RuntimeError):  # the loop is over
            self._loop.call_soon_threadsafe(self._read.put_nowait, told)
            return True
        return False


def _hang_up(connection: socket.socket) -> None:
    """Wakes its reader. Not SSLSocket.shutdown, which takes the session away under the reader's hands."""
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
