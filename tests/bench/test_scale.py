"""The simulation of cells, shortened: what does not depend on this machine's speed."""

import pytest

from tests.bench.scale import Deployment, collisions, entries, foreign_joins, most_bytes, replica_costs, run


@pytest.mark.row("D-6.7.7")
def test_joins_of_nobody_find_no_owner_and_without_the_check_they_do() -> None:
    found = foreign_joins(tokens=200_000, joins=400_000)
    assert found["wrong"] == 0
    assert found["wrong_without_check"] > 5, "18.6 are expected"


def test_a_token_of_another_controller_costs_at_most_140_bytes() -> None:
    found = replica_costs(200_000)
    assert found["index_bytes"] <= 140 and found["wire_bytes"] < 13
    assert replica_costs(100_000, 16)["index_bytes"] <= 140, "IPv6 costs no more"
    assert most_bytes(1_000) > 64  # what it is right after an index has grown is told, and not bounded


def test_a_hundred_million_sessions_share_tokens_as_often_as_computed() -> None:
    found = collisions(Deployment(servers=10_000), 200_000)
    assert 0.02 < found["shared"] < 0.027  # 100 M / 2^32
    assert found["ambiguous"] < found["shared"] / 5, "the destination tells most of them apart"


def test_the_whole_simulation_runs_and_its_cells_are_of_a_size_that_one_site_file_has() -> None:
    cells = run(0.01)["cells"]
    assert cells["waypoints_of_a_cell"] < 65_536 and cells["replica_mbytes"] < 500
    assert cells["flat_replica_gbytes"] > 10 * cells["replica_mbytes"] / 1000


def test_entries_are_the_same_each_time() -> None:
    assert entries(3, 1) == entries(3, 1) != entries(3, 2)
