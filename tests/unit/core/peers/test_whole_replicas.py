"""A controller tells another one the tokens of all its sessions: in portions, while sessions begin and end."""

import pytest

from steering.core.peers import replica_feed
from steering.wire.crypto import token
from tests.support.clustered import Cluster
from tests.support.sites import UE_LTE

MANY = 60


def key_of(number: int) -> bytes:
    return (1 << 50 | number).to_bytes(8, "big")


@pytest.mark.parametrize("at_once", [1, 7, 1_000])
def test_a_whole_replica_has_every_session_once(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_feed, "TOKENS", at_once)
    monkeypatch.setattr(replica_feed, "TOLD_AT_ONCE", 1)
    monkeypatch.setattr(replica_feed, "PORTIONS", 1)
    cluster = Cluster()
    owner = cluster.engines["a"].sessions
    made = [cluster.session(UE_LTE, 10_000 + n, key_of(n)) for n in range(MANY)]
    for session in made[10:40]:
        owner.teardown.end(session)
    cluster.part("a", "bc")
    cluster.heal()  # b and c get whole replicas
    for n in range(MANY):
        if n % 5 == 4 and not 10 <= n < 40:
            owner.teardown.end(made[n])
        made.append(cluster.session(UE_LTE, 20_000 + n, key_of(MANY + n)))
        cluster.later(0.05)
    for _ in range(5):
        cluster.later(0.05)
    wanted = {session.token for session in owner.table}
    assert len(wanted) == len(owner.table) == MANY - 30 - 6 + MANY
    assert int.from_bytes(token(1, key_of(0)), "big") in wanted
    for name in ("b", "c"):
        peers = cluster.engines[name].peers
        assert peers.is_whole and peers.replicas.of["a"].facts.keys() == wanted, name
