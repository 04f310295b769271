"""A quota of bytes of two controllers: each counts at its own switches, both act on the sum, and what one has counted outlives it."""

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from steering.store.etcd.gateway import EtcdGateway
from steering.store.etcd.keys import Keys
from steering.store.kept import read_usage
from steering.wire.crypto import token
from steering.wire.mptcp import MpJoinSyn
from steering.wire.segment import Flags
from tests.support.attached_host import AttachedHost, entries, repeated
from tests.support.cluster_cell import BRIDGES, WAIT
from tests.support.controller_process import SITE, Running
from tests.support.etcd import EtcdMembers
from tests.support.share_owners import KEY, LTE, PORT, SERVER, WLAN, Place, joined, opened, sessions, shared
from tests.support.waiting import wait_for

# A second access at each access switch, where the quota does not count. The first ones are of one type.
DSL1, DSL2 = "10.3.0.2", "10.4.0.2"
METERED_SITE = SITE.replace("type: wlan, ", "type: cellular, ").replace(
    "gateways:\n",
    """\
  - {name: dsl1, type: fixed, trust: operator, prefixes: [10.3.0.0/24], ports: [s1:3]}
  - {name: dsl2, type: fixed, trust: operator, prefixes: [10.4.0.0/24], ports: [s2:3]}
gateways:
""",
)
QUOTA = 200_000
POLICY = f"""\
policy: 1
timers: {{sweep: 1, half_open: 120}}
subscribers:
  - {{id: home, prefixes: [10.1.0.0/24, 10.2.0.0/24]}}
rules:
  - {{name: metered, when: {{}}, then: {{pooling: {{quota_bytes: {{cellular: {QUOTA}}}}}}}}}
"""
FREE = {"lte": "active", "wlan": "active", "dsl1": "active", "dsl2": "active"}
USED_UP = FREE | {"lte": "backup", "wlan": "backup"}
FRAME = 1_000  # bytes of data
PATIENCE = 20.0  # seconds in which Open vSwitch says what it has counted


@pytest.fixture
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdMembers]:
    with EtcdMembers(tmp_path_factory.mktemp("etcd")) as members:
        yield members


class Source(NamedTuple):
    """A session's host at its metered access, and the number of its session."""

    place: Place
    sport: int
    number: int

    @property
    def carried(self) -> int:
        """Bytes that Open vSwitch has counted at the entry of its subflow."""
        found = entries(self.place.bridge, nw_src=self.place.address, tp_src=str(self.sport))
        return sum(int(told) for line in found for told in re.findall(r"n_bytes=(\d+)", line))

    def sends(self, size: int) -> None:
        """So many bytes of data pass the entry of its subflow."""
        wanted = self.carried + size

        def missing() -> int:
            return wanted - self.carried

        for _ in range(3):
            for _ in range(-(-missing() // FRAME)):
                self.place.host.sends(
                    SERVER, self.sport, PORT, Flags.ACK, payload=bytes(FRAME), seq=1001, ack=9001
                )
            try:
                wait_for(lambda: missing() <= 0, PATIENCE)
            except AssertionError:
                continue
            return
        raise AssertionError(f"{missing()} bytes did not pass")

    def is_joined(self, host: AttachedHost, address: str, sport: int) -> bool:
        """Whether its session has a second subflow, from an access that is not metered."""
        key = bytes((KEY[0] ^ self.number,)) + KEY[1:]
        option = MpJoinSyn(1, token(1, key), b"nonc").encode(1)
        return repeated(
            lambda: host.sends(SERVER, sport, PORT, Flags.SYN, option, seq=2000),
            lambda: bool(entries(self.place.bridge, nw_src=address, tp_src=str(sport))),
        )


class Records:
    """What etcd has of used bytes, as `home` used them by accesses of one type."""

    def __init__(self, etcd: EtcdMembers, cell: str) -> None:
        self._keys = Keys(EtcdGateway(etcd.access), f"/steering/{cell}/usage/")

    def of(self, controller: str, kind: str = "cellular") -> int:
        found = [read_usage(one.text)[0].used for one in self._keys.below(f"{controller}/").found]
        return sum(one.used for some in found for one in some if one[:2] == ("home", kind))

    def delete(self) -> None:
        self._keys.delete("", all_below=True)


def wanted(running: Running) -> dict[str, str]:
    """What a controller wants of each access's subflows, by access network; of its own sessions and others'."""
    found: dict[str, str] = {}
    try:
        for one in running.json("/v1/sessions")["sessions"]:
            for subflow in running.json(f"/v1/sessions/{one['id']}")["subflows"]:
                found[subflow["access_network"]] = subflow["wanted"]
    except (OSError, ValueError):
        return {}  # it starts, or a session has moved meanwhile
    return found


@pytest.mark.timeout(600)
@pytest.mark.row("N-5.6.1k3", "D-6.7.1")
def test_a_quota_is_used_up_by_what_both_count_and_stays_so_whoever_dies(
    tmp_path: Path, etcd: EtcdMembers
) -> None:
    with shared(tmp_path, etcd, policy=POLICY, site=METERED_SITE) as made, ExitStack() as stack:
        records = Records(etcd, tmp_path.name)
        first, second = made.name_of(made.first), made.name_of(made.second)
        at_first = Source(Place(made.lte, LTE, BRIDGES[0], made.first), 40_000, 0)
        at_second = Source(Place(made.wlan, WLAN, BRIDGES[1], made.second), 41_000, 1)
        for source, address in ((at_first, DSL1), (at_second, DSL2)):
            opened(source.place, made.mcp, source.sport, source.number)
            dsl = stack.enter_context(AttachedHost(source.place.bridge, address, 3))
            assert source.is_joined(dsl, address, source.sport + 1)
        both = (made.first, made.second)
        assert (sessions(made.first), sessions(made.second)) == (1, 1)

        at_first.sends(50_000)
        at_second.sends(50_000)
        wait_for(lambda: records.of(first) >= 50_000 and records.of(second) >= 50_000, WAIT)
        wait_for(lambda: all(wanted(one) == FREE for one in both), WAIT)

        at_first.sends(60_000)
        at_second.sends(60_000)
        wait_for(lambda: all(wanted(one) == USED_UP for one in both), WAIT)
        assert max(records.of(first), records.of(second)) < QUOTA, "neither has used it up alone"

        wait_for(lambda: records.of(first) >= 110_000, WAIT)
        made.first.kill()
        seen = [records.of(first)]
        wait_for(lambda: made.cell.masters(second) == {"s1", "s2", "s3", "s4"}, WAIT)
        wait_for(lambda: wanted(made.second) == USED_UP, WAIT)
        assert seen == [records.of(first)] and records.of(second) < QUOTA, (
            "what the dead one has counted counts"
        )

        def counted() -> int:
            seen.append(records.of(first))
            return seen[-1]

        shutil.rmtree(made.first.state)
        made.first.start()
        halves = ({"s1", "s3"}, {"s2", "s4"})
        wait_for(lambda: counted() and made.cell.masters(first) in halves, WAIT)
        wait_for(lambda: counted() and (sessions(made.first), sessions(made.second)) == (1, 1), WAIT)
        wait_for(lambda: counted() and all(wanted(one) == USED_UP for one in both), WAIT)
        source = at_first if "s1" in made.cell.masters(first) else at_second
        source.sends(30_000)
        wait_for(lambda: counted() >= seen[0] + 30_000, WAIT)
        assert seen == sorted(seen) and seen[-1] < QUOTA, "it goes on from where it was"

        records.delete()
        wait_for(lambda: all(wanted(one) == FREE for one in both), WAIT)


@pytest.mark.timeout(300)
@pytest.mark.row("N-5.6.1k3", "D-6.7.1")
def test_what_a_join_sends_at_the_other_owners_switch_is_used_of_its_sessions_quota(
    tmp_path: Path, etcd: EtcdMembers
) -> None:
    policy = POLICY.replace("cellular: ", "wlan: ")
    with shared(tmp_path, etcd, policy=policy) as made:
        records = Records(etcd, tmp_path.name)
        opened(made.at_lte, made.mcp, 40_000)
        assert joined(made.at_wlan, 40_001)
        owner, join = made.name_of(made.first), Source(made.at_wlan, 40_001, 0)
        join.sends(QUOTA - 50_000)
        wait_for(lambda: records.of(owner, "wlan") >= QUOTA - 50_000, WAIT)
        assert wanted(made.first) == {"lte": "active", "wlan": "active"}
        join.sends(60_000)
        wait_for(lambda: wanted(made.first) == {"lte": "active", "wlan": "backup"}, WAIT)
        assert not records.of(made.name_of(made.second), "wlan")
