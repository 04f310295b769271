"""Traffic at a host of the lab: a server (`serve`), and a client that takes orders (`agent`).

Runs inside a namespace (`python -m topologies.programs.traffic`), with the standard library only. Orders and answers
are JSON objects, one per line of stdin and stdout. The first byte of a connection says what the server shall do:

    E            send every further byte back
    S            count bytes until the client ends its direction, then send the count in 8 bytes
    D            send bytes until the client closes
    N, 8 bytes   send so many bytes
    H            send nothing and end that direction at once (half-close), but go on receiving
    M, 1 byte    give all segments this DSCP; one of the bytes above follows
"""

import argparse
import errno
import fcntl
import json
import os
import selectors
import socket
import struct
import sys
import termios
import threading
import time
from collections.abc import Callable

from topologies.programs import setups
from topologies.programs.lateness import Lateness, Silence
from topologies.programs.probes import ping, trace
from topologies.programs.streams import (
    BLOCK,
    ECHO,
    IPPROTO_MPTCP,
    KINDS,
    WAIT_S,
    Json,
    connect,
    echo_round,
    mark,
    own_token,
)

ZEROS = bytes(BLOCK)


class Service:
    """The server: one epoll loop for all of its connections."""

    def __init__(self, ports: list[int], mptcp: bool) -> None:
        self._selector = selectors.DefaultSelector()
        for port in ports:
            listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, IPPROTO_MPTCP if mptcp else 0)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.bind(("::", port))
            listener.listen(4096)
            listener.setblocking(False)
            self._selector.register(listener, selectors.EVENT_READ, None)

    def run(self) -> None:
        """Serve until killed."""
        while True:
            for key, events in self._selector.select():
                if key.data is None:
                    self._accept(key.fileobj)  # type: ignore[arg-type]
                else:
                    self._serve(key.fileobj, key.data, events)  # type: ignore[arg-type]

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        self._selector.register(connection, selectors.EVENT_READ, {"mode": b"", "count": 0, "out": b""})

    def _serve(self, connection: socket.socket, state: Json, events: int) -> None:
        try:
            if events & selectors.EVENT_READ:
                self._read(connection, state)
            if events & selectors.EVENT_WRITE or state["out"]:
                self._write(connection, state)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EINTR):
                self._close(connection)

    def _read(self, connection: socket.socket, state: Json) -> None:
        data = connection.recv(BLOCK)
        if not data:
            if state["mode"] == b"S":
                connection.sendall(struct.pack("!Q", state["count"]))
            self._close(connection)
            return
        if not state["mode"]:
            state["mode"], data = data[:1], data[1:]
            if state["mode"] == b"M":
                mark(connection, data[0])
                state["mode"], data = data[1:2], data[2:]
        if state["mode"] == b"S":
            state["count"] += len(data)
        elif state["mode"] == b"E":
            state["out"] += data
        elif state["mode"] == b"H" and not state["count"]:
            state["count"] = 1
            connection.shutdown(socket.SHUT_WR)
        elif state["mode"] == b"D":
            state["out"] = ZEROS
        elif state["mode"] == b"N":  # like D, but with a limit
            state["count"] = struct.unpack("!Q", data)[0]
            state["out"] = ZEROS[: state["count"]]

    def _write(self, connection: socket.socket, state: Json) -> None:
        if connection.fileno() < 0:
            return
        sent = connection.send(state["out"])
        if state["mode"] == b"N":
            state["count"] -= sent
            state["out"] = ZEROS[: state["count"]]
        elif state["mode"] != b"D":
            state["out"] = state["out"][sent:]
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if state["out"] else 0)
        self._selector.modify(connection, wanted, state)

    def _close(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        connection.close()


class Agent:
    """The client: it takes one order after the other. Tasks run in threads of their own."""

    def __init__(self) -> None:
        self._groups: dict[str, list[tuple[socket.socket, list[bool]]]] = {}
        self._tasks: dict[str, Json] = {}
        self._orders: dict[str, Callable[[Json], Json]] = {
            "open": self._open,
            "echo": self._echo,
            "half-close": self._half_close,
            "push": self._push,
            "mark": self._mark,
            "close": self._close,
            "start": self._start,
            "status": self._status,
            "stop": self._stop,
            "ping": lambda order: {
                "answered": ping(order["dst"], order.get("count", 3), order.get("wait", 1.0))
            },
            "trace": lambda order: {"hops": trace(order["dst"], order.get("hops", 6))},
        }

    def run(self) -> None:
        """Answer every line of stdin with a line on stdout, until stdin ends."""
        for line in sys.stdin:
            order = json.loads(line)
            try:
                answer = self._orders[order["do"]](order)
            except (OSError, KeyError, ValueError) as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), flush=True)
        os._exit(0)  # this ends the threads of tasks too

    def _open(self, order: Json) -> Json:
        """Open `count` connections one after the other and add them to `group`. With `first`, each has an echo at
        once."""
        group = self._groups.setdefault(order["group"], [])
        opened: list[Json] = []
        for number in range(order.get("count", 1)):
            port = order["ports"][number % len(order["ports"])]
            try:
                start = time.monotonic()
                made = connect(order | {"port": port})
                took = time.monotonic() - start
                said = [False]
                group.append((made, said))
                local = made.getsockname()
                if order.get("first"):
                    echo_round(made, True, order.get("answer_dscp", 0))
                    said[0] = True
                opened.append(
                    {"local": list(local[:2]), "port": port, "token": own_token(made), "connect_s": took}
                )
            except OSError as error:
                opened.append({"error": str(error), "port": port})
            time.sleep(order.get("gap", 0.0))
        return {"opened": opened}

    def _echo(self, order: Json) -> Json:
        """Have an echo on each connection of a group, one after the other. Stop after `enough` failures. `longest_own_s`: of
        those that came, the longest in seconds, without what the machine was late meanwhile."""
        failed: list[str] = []
        longest = 0.0
        group = self._groups.get(order["group"], [])
        with Lateness() as late:
            for made, said in group:
                if len(failed) == order.get("enough"):
                    break
                silence = Silence(late, time.monotonic())
                try:
                    made.settimeout(order.get("wait", WAIT_S))
                    echo_round(made, not said[0])
                    said[0] = True
                    longest = max(longest, silence.ends(time.monotonic()))
                except OSError as error:
                    failed.append(f"{error}")
                time.sleep(order.get("gap", 0.0))
        return {"asked": len(group), "failed": failed, "longest_own_s": longest}

    def _half_close(self, order: Json) -> Json:
        """Have the server end its direction of each connection of a group, which must not have begun otherwise. `ended`:
        on how many of them that was heard."""
        ended = 0
        for made, said in self._groups[order["group"]]:
            made.settimeout(order.get("wait", WAIT_S))
            made.sendall(b"H")
            said[0] = True
            ended += not made.recv(1)
        return {"ended": ended}

    def _push(self, order: Json) -> Json:
        """Send a line on each connection of a group, and wait until the kernels at their other ends have acknowledged
        them. `failed`: on how many connections something was not, within `wait`."""
        group = self._groups[order["group"]]
        failed: list[str] = []
        for made, _ in group:
            try:
                made.sendall(ECHO)
            except OSError as error:
                failed.append(f"{error}")
        limit = time.monotonic() + order.get("wait", WAIT_S)
        waiting = [made for made, _ in group]
        while waiting and time.monotonic() < limit:
            waiting = [made for made in waiting if _unacknowledged(made)]
            time.sleep(0.02)
        return {"asked": len(group), "failed": [*failed, *("not acknowledged" for _ in waiting)]}

    def _mark(self, order: Json) -> Json:
        """Give all further segments of a group's connections another DSCP."""
        for made, _said in self._groups[order["group"]]:
            mark(made, order["dscp"])
        return {}

    def _close(self, order: Json) -> Json:
        """Close the connections of a group; with `locals`, only those with these local ports."""
        group = self._groups.pop(order["group"], [])
        wanted = set(order.get("locals", ()))
        kept: list[tuple[socket.socket, list[bool]]] = []
        for made, said in group:
            if wanted and made.getsockname()[1] not in wanted:
                kept.append((made, said))
                continue
            made.close()
            time.sleep(order.get("gap", 0.0))
        if kept:
            self._groups[order["group"]] = kept
        return {"closed": len(group) - len(kept)}

    def _start(self, order: Json) -> Json:
        """Begin a task of one of the KINDS. The order `status` reads its progress."""
        task: Json = {"kind": order["kind"], "done": False, "end": False}
        self._tasks[order["name"]] = task
        work = (KINDS | setups.KINDS)[order["kind"]]
        threading.Thread(target=_guarded, args=(work, order, task), daemon=True).start()
        return {"started": order["name"]}

    def _status(self, order: Json) -> Json:
        return dict(self._tasks[order["name"]])

    def _stop(self, order: Json) -> Json:
        """Ask a task to end after its current step."""
        self._tasks[order["name"]]["end"] = True
        return {"stopping": order["name"]}


def _unacknowledged(connection: socket.socket) -> int:
    """How many bytes of a connection its other end has not acknowledged."""
    said = fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4))
    return int(struct.unpack("=i", said)[0])


def _guarded(work: Callable[[Json, Json], None], order: Json, task: Json) -> None:
    try:
        work(order, task)
    except OSError as error:
        task["error"] = str(error)
    task["done"] = True


def main() -> None:
    """`serve --port N [--mptcp]`, or `agent`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=("serve", "agent"))
    parser.add_argument("--port", type=int, action="append", default=[])
    parser.add_argument("--mptcp", action="store_true")
    args = parser.parse_args()
    if args.role == "agent":
        Agent().run()
    else:
        Service(args.port, args.mptcp).run()


if __name__ == "__main__":
    main()
