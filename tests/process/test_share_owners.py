"""Two controllers that decide at once, each for its share of real switches: joins across them, and the death of one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.attached_host import entries
from tests.support.cluster_cell import BRIDGES, WAIT, settled
from tests.support.etcd import EtcdMembers
from tests.support.share_owners import SERVER, joined, opened, sessions, shared
from tests.support.waiting import wait_for


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdMembers]:
    with EtcdMembers(tmp_path_factory.mktemp("etcd")) as members:
        yield members


@pytest.mark.row("D-6.7.1")
def test_a_join_at_another_owners_switch_is_pinned_and_outlives_its_owner(
    tmp_path: Path, etcd: EtcdMembers
) -> None:
    with shared(tmp_path, etcd) as made:
        opened(made, 40_000)
        assert entries(BRIDGES[3], nw_src=SERVER, tp_dst="40000"), (
            "the way back, at the other owner's gateway"
        )
        assert joined(made, 40_001)
        assert sessions(made.second) == 0, "it is the other's session"
        assert made.second.json("/v1/status")["missing"] == [], "the other's switches are there"
        before = settled()
        made.first.kill()
        wait_for(lambda: made.cell.masters(made.name_of(made.second)) == {"s1", "s2", "s3", "s4"}, WAIT)
        wait_for(lambda: sessions(made.second) == 1, WAIT)
        after = settled()
        assert before.keys() - after.keys() == after.keys() - before.keys() == set()
        changed = [
            what for what, one in after.items() if one[0] != before[what][0] or one[1] < before[what][1]
        ]
        assert not changed, "rules that were written again, or with another cookie"
        subflows = made.second.json("/v1/sessions")["sessions"][0]["subflows"]
        assert subflows == 2, "the join too, whose entry it had left alone as another's"
        assert joined(made, 40_002)


def test_the_control_without_tokens_of_others_pins_no_join(tmp_path: Path, etcd: EtcdMembers) -> None:
    with shared(tmp_path, etcd, "--disable", "peer-tokens") as made:
        opened(made, 40_000)
        assert not joined(made, 40_001)
