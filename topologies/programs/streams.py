"""The tasks of a lab's host that send and receive. Each kind of task is one function; the agent of `traffic` runs each
task in a thread."""

import contextlib
import hashlib
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

from topologies.programs.lateness import Lateness, Silence

IPPROTO_MPTCP = 262
SOL_MPTCP = 284
MPTCP_INFO = 1
TCP_FASTOPEN_CONNECT = 30
BLOCK = 1 << 16
WAIT_S = 5.0  # a lost SYN is sent again after 1 s and after 2 s more, a data segment sooner
ECHO = b"steered or not, the same bytes come back"

Json = dict[str, Any]
STEP_S = 0.02
HELD_UP_S = 0.5
FLOOD_STEP_S = 0.004
DRAIN_S = 8.0
NOTED_S, MOST_NOTED = 0.02, 1_000  # silences of its own that a stream notes, and how many of them
PATTERN = bytes(range(251))  # its length is prime, so a segment that is lost or doubled shifts the pattern


def connect(order: Json) -> socket.socket:
    """Open the connection of an order: to `dst` and `port`, with `mptcp` or not, from `src` if given, with a send
    buffer of `sndbuf` bytes if given. With `fast_open` the first bytes go with the SYN, where the kernel may."""
    family = socket.AF_INET6 if ":" in order["dst"] else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM, IPPROTO_MPTCP if order.get("mptcp") else 0)
    made.settimeout(order.get("wait", WAIT_S))
    try:
        if order.get("sndbuf"):
            made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, order["sndbuf"])
        if order.get("src") or order.get("sport"):
            made.bind((order.get("src", ""), order.get("sport", 0)))
        if order.get("dscp"):
            mark(made, order["dscp"])
        if order.get("fast_open"):
            made.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
        made.connect((order["dst"], order["port"]))
    except OSError:
        made.close()
        raise
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def mark(connection: socket.socket, dscp: int) -> None:
    """Give all further segments this DSCP."""
    connection.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)


def preface(mode: bytes, dscp: int) -> bytes:
    """The first bytes of a connection: its mode, and the DSCP that the server shall use if that is not 0."""
    return (b"M" + bytes([dscp]) if dscp else b"") + mode


def echo_round(connection: socket.socket, first: bool, dscp: int = 0) -> None:
    """Send a line and receive the same. The first round may ask for a DSCP of the answers. Raises OSError."""
    connection.sendall((preface(b"E", dscp) if first else b"") + ECHO)
    got = b""
    while len(got) < len(ECHO):
        part = connection.recv(len(ECHO) - len(got))
        if not part:
            raise ConnectionError("the other side ended the connection")
        got += part
    if got != ECHO:
        raise ConnectionError("other bytes came back")


def own_token(connection: socket.socket) -> str | None:
    """The token of this host's own key; None for plain TCP."""
    try:
        raw = connection.getsockopt(SOL_MPTCP, MPTCP_INFO, 96)
    except OSError:
        return None
    flags, token = struct.unpack_from("=II", raw, 8)
    return None if flags & 1 else f"{token:08x}"


def upload(order: Json, task: Json) -> None:
    """Send for `seconds`, at no more than `mbit` if given, then wait for the server's count. `mbit` of the result:
    the bytes that arrived over the time that they took. `longest_block_s`: the longest time for a block; `own_block_s`: without
    what the machine was late meanwhile."""
    made = connect(order)
    made.settimeout(30.0)
    task["local"] = list(made.getsockname()[:2])
    block = bytes(BLOCK)
    started = time.monotonic()
    made.sendall(b"S")
    longest = own = 0.0
    sent = 0
    with Lateness() as late:
        while time.monotonic() - started < order["seconds"] and not task["end"]:
            before = time.monotonic()
            made.sendall(block)
            after = time.monotonic()
            longest = max(longest, after - before)
            own = max(own, after - before - late.during(before, after))
            sent += BLOCK
            if order.get("mbit"):
                time.sleep(max(0.0, started + sent * 8 / order["mbit"] / 1e6 - time.monotonic()))
    task["token"] = own_token(made)
    made.shutdown(socket.SHUT_WR)
    answer = b""
    while len(answer) < 8:
        part = made.recv(8 - len(answer))
        if not part:
            raise ConnectionError("the server ended the connection without a count")
        answer += part
    taken = time.monotonic() - started
    task["bytes"] = struct.unpack("!Q", answer)[0]
    task["seconds"] = taken
    task["longest_block_s"], task["own_block_s"] = longest, own
    task["mbit"] = task["bytes"] * 8 / taken / 1e6
    made.close()


def churn(order: Json, task: Json) -> None:
    """Open plain connections, `rate` of them per second, each with one echo, until the task is stopped; at least
    `count`."""
    task.update(completed=0, failed=0, errors=[])
    step = 1.0 / order["rate"]
    due = time.monotonic()
    number = 0
    while number < order["count"] or not task["end"]:
        number += 1
        due += step
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            made = connect(order | {"port": order["ports"][number % len(order["ports"])]})
            echo_round(made, True)
            made.close()
            task["completed"] += 1
        except OSError as error:
            task["failed"] += 1
            task["errors"] = (task["errors"] + [str(error)])[-5:]


def download(order: Json, task: Json) -> None:
    """Receive for `seconds`. `mbit`: the rate, counted from the first byte on."""
    made = connect(order)
    made.settimeout(10.0)
    task["local"] = list(made.getsockname()[:2])
    made.sendall(preface(b"D", order.get("answer_dscp", 0)))
    got = len(made.recv(BLOCK))
    started = time.monotonic()
    while time.monotonic() - started < order["seconds"] and not task["end"]:
        part = len(made.recv(BLOCK))
        if not part:
            raise ConnectionError("the server ended the connection")
        got += part
    taken = time.monotonic() - started
    task["token"] = own_token(made)
    task.update(bytes=got, seconds=taken, mbit=got * 8 / taken / 1e6)
    made.close()


def steady(order: Json, task: Json) -> None:
    """A constant stream of `mbit` for `seconds`, a block each `step` seconds, echoed by the server: what came back, and
    when nothing did.

    The task ends earlier when it is stopped, at most some seconds late, with an error if not everything came back.
    `empty_seconds`: how many whole seconds brought no byte, though the machine was late for less than half of them.
    `longest_gap_s`: the longest silence. `own_gap_s`: the same without the time for which the machine was late meanwhile.
    `silences`: for each silence longer than NOTED_S, when it ended, and its seconds without the machine's lateness. `wrong`: whether
    any byte came back changed.
    """
    made = connect(order)
    task["local"] = list(made.getsockname()[:2])
    made.sendall(b"E")
    made.setblocking(False)
    with Lateness() as late:
        _stream(made, order, task, late)
    task["token"] = own_token(made)
    made.close()
    if task["received"] < task["sent"]:
        raise ConnectionError(f"{task['received']} of {task['sent']} bytes came back")


def _stream(made: socket.socket, order: Json, task: Json, late: Lateness) -> None:
    step = order.get("step", STEP_S)
    block = max(1, int(order["mbit"] * 1e6 / 8 * step))
    started = time.monotonic()
    silence = Silence(late, started)
    task.update(sent=0, received=0, wrong=False, longest_gap_s=0.0, own_gap_s=0.0, silences=[], seconds=[])
    limit = over = started + order["seconds"]
    while time.monotonic() < limit + DRAIN_S:
        now = time.monotonic()
        sending = now < limit and not task["end"]
        due = int((now - started) / step) * block
        behind = sending and task["sent"] < due
        readable, writable, _ = select.select([made], [made] if behind else [], [], step)
        if writable:
            at = task["sent"] % len(PATTERN)
            wanted = min(due - task["sent"], BLOCK)
            task["sent"] += made.send((PATTERN * (wanted // len(PATTERN) + 2))[at : at + wanted])
        if readable:
            _heard(made, task, started)
            _silent(task, silence)
        if not sending:
            over = min(over, now)
        if not sending and (task["received"] >= task["sent"] or now > over + DRAIN_S):
            break
    _silent(task, silence)
    task["empty_seconds"] = empty_seconds(task["seconds"], started, over, late)


def empty_seconds(heard: list[int], started: float, over: float, late: Lateness) -> int:
    """How many of the whole seconds between two times brought no byte, though the machine was late for less than HELD_UP_S of
    them. `heard`: bytes of each, up to the last that brought any."""
    whole = int(over - started)
    spans = [*heard, *([0] * whole)][:whole]
    return sum(
        not got and late.during(started + number, started + number + 1) < HELD_UP_S
        for number, got in enumerate(spans)
    )


def _silent(task: Json, silence: Silence) -> None:
    now = time.monotonic()
    own = silence.ends(now)
    if own > NOTED_S and len(task["silences"]) < MOST_NOTED:
        task["silences"].append([now, own])
    task.update(longest_gap_s=silence.longest_s, own_gap_s=silence.own_s)


def _heard(made: socket.socket, task: Json, started: float) -> None:
    """Count the bytes that have come back until now."""
    part = made.recv(BLOCK)
    now = time.monotonic()
    if not part:
        raise ConnectionError("the other side ended the connection")
    at = task["received"] % len(PATTERN)
    task["wrong"] |= part != (PATTERN * (len(part) // len(PATTERN) + 2))[at : at + len(part)]
    task["received"] += len(part)
    seconds: list[int] = task["seconds"]
    seconds += [0] * (int(now - started) + 1 - len(seconds))
    seconds[int(now - started)] += len(part)


def flood(order: Json, task: Json) -> None:
    """Send datagrams at a rate of `mbit` until the task is stopped. Nobody answers them, and they yield to no other
    traffic."""
    sending = socket.socket(socket.AF_INET6 if ":" in order["dst"] else socket.AF_INET, socket.SOCK_DGRAM)
    datagram = bytes(order.get("size", 1_400))
    gap = len(datagram) * 8 / (order["mbit"] * 1e6)
    task["sent"], due = 0, time.monotonic()
    while not task["end"]:
        due += FLOOD_STEP_S
        for _ in range(max(1, round(FLOOD_STEP_S / gap))):
            with contextlib.suppress(
                OSError
            ):  # a full queue, or a port without listener, does not matter here
                sending.sendto(datagram, (order["dst"], order["port"]))
                task["sent"] += 1
        time.sleep(max(0.0, due - time.monotonic()))
    sending.close()


def exchange(order: Json, task: Json) -> None:
    """Send `bytes` of random data and receive all of it back. `same`: whether both have the same SHA-256."""
    noise = os.urandom(order["bytes"])
    made = connect(order)
    task["local"] = list(made.getsockname()[:2])
    made.settimeout(order.get("patience", DRAIN_S))
    sender = threading.Thread(target=_send_all, args=(made, preface(b"E", 0) + noise), daemon=True)
    sender.start()
    got = hashlib.sha256()
    task["bytes"] = 0
    while task["bytes"] < len(noise):
        part = made.recv(BLOCK)
        if not part:
            raise ConnectionError("the other side ended the connection")
        got.update(part)
        task["bytes"] += len(part)
    task["same"] = got.digest() == hashlib.sha256(noise).digest()
    while order.get("hold") and not task["end"]:
        time.sleep(STEP_S)
    made.close()


def sluggish(order: Json, task: Json) -> None:
    """Ask for a download and read nothing of it until the task is stopped. `buffered`: bytes that wait to be read
    then, at least."""
    made = connect(order)
    made.sendall(preface(b"D", 0))
    while not task["end"]:
        time.sleep(STEP_S)
    task["buffered"] = len(made.recv(BLOCK))
    made.close()


def _send_all(connection: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):  # a reader of this connection will see the error
        connection.sendall(data)


KINDS: dict[str, Callable[[Json, Json], None]] = {
    "upload": upload,
    "download": download,
    "steady": steady,
    "churn": churn,
    "flood": flood,
    "exchange": exchange,
    "sluggish": sluggish,
}
