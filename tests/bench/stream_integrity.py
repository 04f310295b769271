"""Whether the kernel's MPTCP carries a stream whole: a host with two accesses and an MPTCP server, with no relay between.

Run by itself, as root: `python -m tests.bench.stream_integrity SECONDS [RECEIVE BUFFER]`; prints JSON. RECEIVE BUFFER:
the bytes of both ends' buffers at first (`net.ipv4.tcp_rmem`), 131072 unless told otherwise.
"""

import json
import os
import socket
import sys
import threading
import time
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from tests.support.relay_lab import Lab

SIZE = 3_000_000
AT_ONCE = 4
PORT = 5201
FIRST_ACCESS = "10.1.0.1"
COUNTERS = ("MPTcpExtDSSNotMatching", "MPTcpExtMPRstTx", "MPTcpExtNoDSSInWindow")


def _echo(listener: socket.socket) -> None:
    def serve(peer: socket.socket) -> None:
        with peer:
            while data := peer.recv(1 << 16):
                peer.sendall(data)

    while True:
        try:
            peer, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=serve, args=(peer,), daemon=True).start()


def _comes_back(lab: Lab) -> bool:
    """Send a stream to and fro. Returns whether it came back as it was sent."""
    data, got = os.urandom(SIZE), bytearray()
    with lab.connect(4, PORT, FIRST_ACCESS) as sock:
        sender = threading.Thread(target=sock.sendall, args=(data,), daemon=True)
        sender.start()
        while len(got) < SIZE and (part := sock.recv(min(1 << 16, SIZE - len(got)))):
            got += part
        sender.join()
    return got == data


def measured(seconds: float, receive_buffer: int = 131_072) -> dict[str, Any]:
    """Transfers of SIZE bytes, AT_ONCE at a time: how many there were and how many came back with other bytes, with
    the server's counters."""
    lab = Lab(Path(mkdtemp()))
    try:
        for where in ("ue", "mcp"):
            with lab.inside(where):
                Path("/proc/sys/net/ipv4/tcp_rmem").write_text(f"4096 {receive_buffer} 6291456")
        listener = lab.tcp("mcp", 4)
        listener.settimeout(None)
        listener.bind(("0.0.0.0", PORT))
        listener.listen(64)
        threading.Thread(target=_echo, args=(listener,), daemon=True).start()
        until = time.monotonic() + seconds
        whole: list[bool] = []

        def transfers() -> None:
            while time.monotonic() < until:
                whole.append(_comes_back(lab))

        threads = [threading.Thread(target=transfers) for _ in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        listener.shutdown(socket.SHUT_RDWR)
        counted = lab.counters("mcp")
        return {
            "receive_buffer": receive_buffer,
            "transfers": len(whole),
            "wrong": whole.count(False),
            **{name: counted.get(name, 0) for name in COUNTERS},
        }
    finally:
        lab.close()


if __name__ == "__main__":
    print(json.dumps(measured(float(sys.argv[1]), *map(int, sys.argv[2:3])), indent=2))
