"""A management network for one host of a lab: a port of the host's own loopback leads to a port of this machine's
loopback.

MCPs talk to the controller out of band. This program takes the place of the wire for that: it listens inside the
host's network namespace and connects outside of it. Usage: `python -m topologies.programs.management PID LISTEN TO`.
"""

import asyncio
import ctypes
import os
import socket
import sys

from topologies.programs.slow_channel import pump

_CLONE_NEWNET = 0x40000000
BACKLOG = 16


def listen_inside(pid: int, port: int) -> socket.socket:
    """A listener on loopback in the network namespace of a process. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    here, there = (os.open(f"/proc/{who}/ns/net", os.O_RDONLY) for who in ("self", pid))
    try:
        _enter(libc, there)
        try:
            return socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
        finally:
            _enter(libc, here)
    finally:
        os.close(here)
        os.close(there)


def _enter(libc: ctypes.CDLL, descriptor: int) -> None:
    if libc.setns(descriptor, _CLONE_NEWNET):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


async def main(pid: int, listen: int, to: int) -> None:
    """Serve until killed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            back, out = await asyncio.open_connection("127.0.0.1", to)
        except OSError:
            writer.close()
            return
        ways = [asyncio.create_task(pump(reader, out, 0.0)), asyncio.create_task(pump(back, writer, 0.0))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        writer.close()
        out.close()

    server = await asyncio.start_server(serve, sock=listen_inside(pid, listen))
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*(int(word) for word in sys.argv[1:4])))
