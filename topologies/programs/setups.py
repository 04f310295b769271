"""Kinds of traffic that are timed: many connections one after the other, and a number of bytes."""

import struct
import time
from typing import Any

from topologies.programs.streams import BLOCK, connect, echo_round, exchange, preface

Json = dict[str, Any]


def first_bytes(order: Json, task: Json) -> None:
    """`count` connections one after the other, an echo each: `took` are the seconds from the SYN to the first byte back."""
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
    """Receive `bytes`, the server sends no more: `mbit` is over all the time from the SYN to the last, `seconds`."""
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
    """`count` connections one after the other, `bytes` sent and taken back by each: `took` are the seconds of each."""
    task["took"] = []
    for _ in range(order["count"]):
        began = time.monotonic()
        exchange(order, {"end": False})
        task["took"].append(time.monotonic() - began)


KINDS = {"first-bytes": first_bytes, "fetch": fetch, "short": short}
