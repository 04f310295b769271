"""Tasks that measure times: many connections one after the other, or the transfer of a number of bytes."""

import select
import struct
import threading
import time
from typing import Any

from topologies.programs.streams import BLOCK, connect, echo_round, exchange, own_token, preface

Json = dict[str, Any]
STEP_S = 0.02
TRIES = 1_000  # most connections of one task


def first_bytes(order: Json, task: Json) -> None:
    """Open `count` connections one after the other, with an echo on each. `took`: seconds from each SYN to the first
    byte that comes back."""
    task.update(took=[], failed=0, errors=[])
    for _ in range(order["count"]):
        began = time.monotonic()
        try:
            made = connect(order)
            echo_round(made, True)
            task["took"].append(time.monotonic() - began)
            made.close()
        except OSError as error:
            task["failed"] += 1
            task["errors"] = [*task["errors"], str(error)][-5:]
        time.sleep(order.get("gap", 0.0))


def fetch(order: Json, task: Json) -> None:
    """Receive `bytes`, which is all that the server sends. `seconds`: from the SYN to the last byte. `mbit`: the rate
    over that time."""
    began = time.monotonic()
    made = connect(order)
    made.settimeout(20.0)
    made.sendall(preface(b"N", 0) + struct.pack("!Q", order["bytes"]))
    got = 0
    while got < order["bytes"]:
        part = len(made.recv(min(BLOCK, order["bytes"] - got)))
        if not part:
            raise ConnectionError(f"the server ended the connection after {got} bytes")
        got += part
    taken = time.monotonic() - began
    task.update(bytes=got, seconds=taken, mbit=got * 8 / taken / 1e6)
    made.close()


def short(order: Json, task: Json) -> None:
    """Open `count` connections one after the other; each sends `bytes` and receives them back. `took`: seconds of
    each."""
    task["took"] = []
    for _ in range(order["count"]):
        began = time.monotonic()
        exchange(order, {"end": False})
        task["took"].append(time.monotonic() - began)


def tries(order: Json, task: Json) -> None:
    """Open a connection every `gap` seconds, with an echo on each, until the task is stopped; TRIES at most. `tries`
    holds for each: its begin on the machine's monotonic clock (`at`), the seconds until the echo (`took`), whether it
    was MPTCP, and its error."""
    found: list[Json] = []
    threads: list[threading.Thread] = []

    def one() -> None:
        told: Json = {"at": time.monotonic(), "mptcp": False, "error": ""}
        try:
            made = connect(order)
            echo_round(made, True)
            told["mptcp"] = own_token(made) is not None
            made.close()
        except OSError as error:
            told["error"] = str(error)
        told["took"] = time.monotonic() - told["at"]
        found.append(told)

    while not task["end"] and len(threads) < TRIES:
        threads.append(threading.Thread(target=one, daemon=True))
        threads[-1].start()
        time.sleep(order["gap"])
    for thread in threads:
        thread.join()
    task["tries"] = found


def listener(order: Json, task: Json) -> None:
    """Keep one connection until it ends or the task is stopped. `mode` E sends a line and is idle from then on, D receives,
    S sends. The result: `told_at`, when a call reported the end (monotonic clock); `word`, the error it reported; `heard_at`,
    when the last byte came or went; `local`, the connection's own port."""
    task.update(told_at=None, word="", heard_at=None, bytes=0)
    made = connect(order)
    mode = order["mode"].encode()
    task["local"] = list(made.getsockname()[:2])
    if mode == b"E":
        echo_round(made, True)
    else:
        made.sendall(preface(mode, 0))
    task.update(heard_at=time.monotonic(), token=own_token(made))
    made.setblocking(False)
    block = bytes(BLOCK)
    while not task["end"] and task["told_at"] is None:
        readable, writable, _ = select.select([made], [made] if mode == b"S" else [], [], STEP_S)
        try:
            moved = made.send(block) if writable else 0
            if readable:
                got = len(made.recv(BLOCK))
                if not got:
                    task.update(told_at=time.monotonic(), word="end of data")
                moved += got
            if moved:
                task["bytes"] += moved
                task["heard_at"] = time.monotonic()
        except BlockingIOError:
            pass
        except OSError as error:
            task.update(told_at=time.monotonic(), word=str(error))
        if writable:
            time.sleep(STEP_S)  # about the rate of an access, not all that this machine can send
    made.close()


KINDS = {"first-bytes": first_bytes, "fetch": fetch, "short": short, "tries": tries, "listener": listener}
