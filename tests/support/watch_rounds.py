"""Rounds of a watch of etcd under faults: what was written while members died, froze and compacted must all be told.

    python -m tests.support.watch_rounds 100

Each write is a key of its own, or deletes one, so that no compaction can hide it. The round's fault strikes in the
middle of the writes. Prints one line a round, and exits 1 if an event was missed or told twice.
"""

import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from steering.store.etcd.gateway import EtcdGateway
from steering.store.etcd.keys import Keys
from steering.store.etcd.watch import EtcdWatch, KeyChange
from tests.support.etcd import EtcdMembers

PREFIX = "/steering/rounds/"
WRITES = 40  # in a round
WAIT = 30.0  # seconds for the last event


class WatchRounds:
    """`members`: three of them, started. `seed`: of the choice of faults."""

    def __init__(self, members: EtcdMembers, seed: int = 1) -> None:
        self._members = members
        self._chance = random.Random(seed)
        self._writer = Keys(EtcdGateway(members.access), PREFIX)
        self._gateway = EtcdGateway(members.access)
        self.watch = EtcdWatch(Keys(self._gateway, PREFIX), "", quiet=0.5)
        self._told: set[tuple[str, bool]] = set()
        self._events: Counter[tuple[str, int]] = (
            Counter()
        )  # by key and revision: a put may be carried out twice
        self._expected: set[tuple[str, bool]] = set()
        self._written = 0
        self._thread = threading.Thread(target=self.watch.run, args=(self._take,), daemon=True)
        self._thread.start()
        self.faults: dict[str, Callable[[], Callable[[], None]]] = {
            "nothing": lambda: lambda: None,
            "compaction": self._compact,
            "compaction-unseen": self._compact_unseen,
            "killed": self._kill_watched,
            "frozen": self._freeze_watched,
            "restart": self._restart_all,
        }

    def round(self, fault: str) -> tuple[int, int]:
        """How many events were missed, and how many were told more than once."""
        undo = self.faults["nothing"]()
        for number in range(WRITES):
            if number == WRITES // 3:
                undo = self.faults[fault]()
            self._write()
        ends = time.monotonic() + WAIT
        while self._expected - self._told and time.monotonic() < ends:
            time.sleep(0.02)
        missed = len(self._expected - self._told)
        undo()  # only now: a member that thaws tells what it owed, so a watch that had trusted it would miss nothing
        twice = sum(1 for told in self._events.values() if told > 1)
        self._expected.clear()
        self._told.clear()
        self._events.clear()
        return missed, twice

    def any_fault(self) -> str:
        return self._chance.choice(sorted(self.faults))

    def close(self) -> None:
        self.watch.stop()
        self._thread.join(20)

    def _take(self, changes: list[KeyChange]) -> None:
        self._told.update((change.key, change.text is not None) for change in changes)
        self._events.update((change.key, change.revision) for change in changes)

    def _write(self) -> None:
        self._written += 1
        key = f"k{self._written:08}"
        self._writer.put(key, "x")
        self._expected.add((key, True))
        if self._written % 4 == 0:
            gone = f"k{self._written - 3:08}"
            self._writer.delete(gone)
            # Where all is listed anew, a key that came and went in between is never told of.
            if (gone, True) in self._told:
                self._expected.add((gone, False))
            else:
                self._expected.discard((gone, True))

    # ---- faults ----------------------------------------------------------------------------------

    def _compact(self) -> Callable[[], None]:
        revision = self._writer.below("", names_only=True).revision
        self._writer.gateway.call("kv/compaction", {"revision": str(revision)})
        return lambda: None

    def _compact_unseen(self) -> Callable[[], None]:
        """The watched member is frozen, and what it has not told is compacted meanwhile."""
        undo = self._freeze_watched()
        for _ in range(5):
            self._write()
        self._compact()
        return undo

    def _watched(self) -> int:
        stream = self.watch._stream
        return stream.place if stream is not None else 0

    def _kill_watched(self) -> Callable[[], None]:
        number = self._watched()
        self._members.kill(number)
        return lambda: self._members.start(number)

    def _freeze_watched(self) -> Callable[[], None]:
        number = self._watched()
        self._members.freeze(number)
        return lambda: self._members.thaw(number)

    def _restart_all(self) -> Callable[[], None]:
        for number in self._members.running():
            self._members.kill(number)
        self._members.start()
        return lambda: None


def main(rounds: int) -> int:
    missed_in_all = twice_in_all = 0
    with tempfile.TemporaryDirectory() as directory:
        members = EtcdMembers(Path(directory), 3)
        members.start()
        trial = WatchRounds(members)
        try:
            for number in range(rounds):
                fault = trial.any_fault()
                missed, twice = trial.round(fault)
                missed_in_all += missed
                twice_in_all += twice
                print(
                    f"round {number + 1}: {fault}: {missed} missed, {twice} told twice;"
                    f" {trial.watch.listed} listings, {trial.watch.begun} watches",
                    flush=True,
                )
        finally:
            trial.close()
            members.close()
    print(f"{rounds} rounds: {missed_in_all} events missed, {twice_in_all} told twice")
    return 1 if missed_in_all or twice_in_all else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
