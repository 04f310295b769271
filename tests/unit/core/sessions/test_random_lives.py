"""Whatever happens in whatever order: what lives at its MCP lives here, what has ended there is gone, and every count is true."""

import pytest

from tests.support.random_lives import RandomLives, flow_of

SEEDS, STEPS = 12, 80


@pytest.mark.row("D-6.2c")
@pytest.mark.parametrize("lossy", [False, True])
@pytest.mark.parametrize("seed", range(SEEDS))
def test_in_the_end_the_controller_knows_what_lives_and_nothing_else(seed: int, lossy: bool) -> None:
    lives = RandomLives(seed, lossy)
    lives.run(STEPS)
    table, pieces = lives.driver.table, lives.driver.engine.sessions
    assert {session.first for session in table} == {flow_of(port) for port in lives.live}
    assert sum(count for mcp, count in table.active.items() if mcp) == len(table)
    assert not len(table.half_open) and not table.uncounted and not table.lingering
    assert sum(table.subflows.values()) == len(table.flows) == sum(len(one.subflows) for one in table)
    assert not len(pieces.aborted) and not pieces.aborted._ends and not pieces.aborted._asks
    assert not pieces.reports._leaving and not pieces.reports._early_ends and not len(pieces.attempts)
    assert all(table.by_id.get(session.id) is session for session in pieces.teardown._legs.values())
