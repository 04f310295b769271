"""The cells of an internet-scale deployment, from what one controller's pieces cost here: `python -m tests.bench.scale`.

First the pieces are measured: what a token of another controller costs in memory and time, what a join costs that is passed on,
and how many joins of nobody find a wrong owner. Then cells are simulated with these numbers. docs/design/scale.rst has the
tables and says what follows. `--json` writes everything; `--quick` is a hundredth of it.
"""

import argparse
import gc
import json
import sys
from collections.abc import Callable, Iterator
from itertools import accumulate
from math import ceil
from pathlib import Path
from random import Random
from time import process_time
from typing import Any, NamedTuple

from steering.core.peers.token_replicas import TokenReplica, TokenReplicas
from steering.wire.peer_codec import decoded, encoded
from steering.wire.peer_messages import ForwardedSegment, SegmentKind, TokenEntries, TokenEntry
from steering.wire.peer_stream import HEAD, cut
from tests.bench.memory import resident
from tests.support.sites import Driver, join

BATCH = 512
TOKEN_SPACE = 2**32


class Deployment(NamedTuple):
    """What is asked for, and what other benchmarks measured (`make bench`; docs/design/scale.rst says which)."""

    sessions: int = 100_000_000
    switches: int = 50_000
    mcps: int = 1_000
    cells: int = 50
    lifetime: float = 60.0  # seconds of a session
    joins: float = 1.0  # of a session
    crossing: float = 0.2  # of joins: at a switch of another cell than their session's
    setup_us: float = 150.0  # processor time of a controller for a complete set-up
    join_us: float = 45.0
    busy: float = 0.5  # how much of a core is planned for
    servers: int = 1_000_000


def entries(count: int, seed: int, address: int = 4) -> list[TokenEntry]:
    """Sessions with random tokens, towards servers of which some are popular."""
    chance = Random(seed)
    return [
        TokenEntry(chance.getrandbits(32), chance.randrange(1_000), chance.randbytes(address), 443)
        for _ in range(count)
    ]


def batches(found: list[TokenEntry]) -> Iterator[TokenEntries]:
    for at in range(0, len(found), BATCH):
        yield TokenEntries(tuple(found[at : at + BATCH]))


def timed(work: Callable[[], object]) -> float:
    """Seconds of processor time."""
    gc.collect()
    gc.disable()
    began = process_time()
    work()
    took = process_time() - began
    gc.enable()
    return took


# ---- the pieces ---------------------------------------------------------------------------------


def replica_costs(count: int, address: int = 4) -> dict[str, float]:
    """What a token costs who tells it and who is told, in us and bytes. The second includes cutting and decoding."""
    found = entries(count, 1, address)
    told: list[bytes] = []
    sending = timed(lambda: told.extend(map(encoded, batches(found))))
    stream = b"".join(told)
    gc.collect()
    replica = TokenReplica()
    before = resident()

    def receive() -> None:
        for piece in told:  # as a turn of the hub reads them
            for message in cut(piece)[0]:
                block = decoded(*message)
                assert isinstance(block, TokenEntries)
                replica.add(block.entries)

    receiving = timed(receive)
    grown = resident() - before
    return {
        "tokens": count,
        "sender_us": sending / count * 1e6,
        "receiver_us": receiving / count * 1e6,
        "wire_bytes": len(stream) / count,
        "bytes": grown / count,
        "index_bytes": sys.getsizeof(replica.facts) / count + 64,  # and two numbers of 32 bytes
    }


def most_bytes(count: int) -> float:
    """The most that a token ever costs on the way to `count` of them: a dict is largest right after it has grown."""
    facts: dict[int, int] = {}
    most, size = 0.0, 0
    for number in range(count):
        facts[number << 8] = number
        grown = sys.getsizeof(facts)
        if grown != size and number >= count // 4:
            most = max(most, grown / (number + 1) + 64)
        size = grown
    return most


def passed_on_costs(count: int) -> dict[str, float]:
    """What a join costs in addition, where it is passed on: looked up and written at its edge, read at its owner."""
    replicas = TokenReplicas()
    found = entries(10_000, 2)
    replicas.begin("other").add(found)
    seen = join("10.2.0.2", 40_000, b"\1\2\3\4")
    segment = ForwardedSegment(SegmentKind.SYN, 2, 1, 0, seen, Driver.frame(seen))
    sent: list[bytes] = []

    def edge() -> None:
        for number in range(count):
            one = found[number % len(found)]
            replicas.owners(one.token, one.server, one.port)
            sent.append(encoded(segment))

    def owner() -> None:
        for data in sent:
            ((kind, body),) = cut(data)[0]
            decoded(kind, body)

    return {
        "edge_us": timed(edge) / count * 1e6,
        "owner_us": timed(owner) / count * 1e6,
        "wire_bytes": len(sent[0]),
        "head_bytes": HEAD,
    }


def foreign_joins(tokens: int, joins: int) -> dict[str, int]:
    """Joins of nobody against tokens of another controller: how many find a wrong owner, with the check of the
    destination and without."""
    chance = Random(3)
    checked, believed = TokenReplicas(), TokenReplicas(checks=False)
    checked.begin("other").add(entries(tokens, 4))
    believed.of = checked.of
    wrong, without = 0, 0
    for _ in range(joins):
        token, server = chance.getrandbits(32), chance.randbytes(4)
        without += bool(believed.owners(token, server, 443))
        wrong += bool(checked.owners(token, server, 443))
    return {"tokens": tokens, "joins": joins, "wrong": wrong, "wrong_without_check": without}


# ---- the cells ----------------------------------------------------------------------------------


def collisions(of: Deployment, drawn: int) -> dict[str, float]:
    """Tokens that live sessions share. So many sessions are drawn, in a space of tokens that is smaller by as much."""
    chance = Random(5)
    space = TOKEN_SPACE * drawn // of.sessions
    popularity = list(accumulate(1 / rank for rank in range(1, of.servers + 1)))  # Zipf
    servers = chance.choices(range(of.servers), cum_weights=popularity, k=drawn)
    holders: dict[int, list[int]] = {}
    for server in servers:
        holders.setdefault(chance.randrange(space), []).append(server)
    shared = sum(len(one) for one in holders.values() if len(one) > 1)
    ambiguous = sum(sum(one.count(server) > 1 for server in one) for one in holders.values() if len(one) > 1)
    # A join that crosses cells, judged by its own cell's tokens alone: one is there and fits, and is not its.
    here = set(list(holders)[: len(holders) // of.cells])
    tries, wrong = drawn, 0
    for server in chance.choices(range(of.servers), cum_weights=popularity, k=tries):
        token = chance.randrange(space)
        wrong += token in here and server in holders[token]
    return {
        "drawn": drawn,
        "shared": shared / drawn,
        "ambiguous": ambiguous / drawn,
        "wrong_by_own_cell_alone": wrong / tries,
    }


def mcp_ids(of: Deployment, rounds: int) -> dict[str, float]:
    """Names of MCPs as 16-bit hashes: how many share one, in the mean. Numbers that are given never do."""
    chance = Random(6)
    shared = [of.mcps - len({chance.getrandbits(16) for _ in range(of.mcps)}) for _ in range(rounds)]
    return {"expected_collisions": sum(shared) / rounds, "per_cell": of.mcps / of.cells}


def cells(of: Deployment, token: dict[str, float], passed: dict[str, float]) -> dict[str, float]:
    """Controllers, cores, memory and traffic."""
    setups = of.sessions / of.lifetime
    joins = setups * of.joins
    working = setups * of.setup_us + joins * of.join_us + joins * (passed["edge_us"] + passed["owner_us"])
    cores = working / 1e6 / of.busy
    members = ceil(cores / of.cells)
    controllers = members * of.cells
    of_cell = setups / of.cells
    told = 2 * of_cell * (1 - 1 / members)  # a token and its end, of each other member's sessions
    questions = joins / controllers  # every join asks the token's home
    return {
        "setups_per_s": setups,
        "joins_per_s": joins,
        "cores": cores,
        "controllers": controllers,
        "controllers_of_a_cell": members,
        "switches_of_a_cell": of.switches / of.cells,
        "waypoints_of_a_cell": of.switches / of.cells + 2 * of.mcps / of.cells + of.cells,
        "replica_mbytes": of.sessions / of.cells * token["index_bytes"] / 1e6,
        "replica_core_share": told * token["receiver_us"] / 1e6,
        "stream_mbit_per_controller": told * token["wire_bytes"] * 8 / 1e6,
        "directory_mbytes": of.sessions / controllers * token["index_bytes"] / 1e6,
        "directory_core_share": (
            2 * setups / controllers * token["receiver_us"] + questions * passed["owner_us"]
        )
        / 1e6,
        "directory_mbit_per_controller": (2 * setups / controllers * token["wire_bytes"] + 2 * questions * 40)
        * 8
        / 1e6,
        "crossing_joins_per_controller_s": joins * of.crossing / controllers,
        # What it would be if every controller knew every token.
        "flat_replica_gbytes": of.sessions * token["index_bytes"] / 1e9,
        "flat_core_share": 2 * setups * token["receiver_us"] / 1e6,
    }


def run(scale: float) -> dict[str, Any]:
    """`scale`: 1 for all of it."""
    of = Deployment(servers=max(1_000, int(1_000_000 * scale)))
    million = max(10_000, int(1_000_000 * scale))
    token = replica_costs(million)
    found: dict[str, Any] = {"token": token, "token_ipv6": replica_costs(million, 16)}
    found["token_most_bytes"] = most_bytes(million)
    found["passed_on"] = passed_on_costs(max(2_000, int(50_000 * scale)))
    found["foreign"] = foreign_joins(million, 2 * million)
    found["collisions"] = collisions(of, million)
    found["mcp_ids"] = mcp_ids(of, max(3, int(100 * scale)))
    found["cells"] = cells(of, token, found["passed_on"])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a hundredth of it")
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    found = run(0.01 if args.quick else 1.0)
    for part, values in found.items():
        for name, value in values.items() if isinstance(values, dict) else (("", values),):
            print(f"{part + ' ' + name:<44}{value:>16,.6g}")
    if args.json:
        Path(args.json).write_text(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
