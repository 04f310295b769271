"""Sessions of two owners, asked at either one: each once, by its id, with its decision, and its end."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.controller_process import Running
from tests.support.etcd import EtcdMembers
from tests.support.share_owners import begun, sessions, shared
from tests.support.waiting import wait_for

PATIENT = "policy: 1\ntimers: {half_open: 120}\n"  # no MCP answers here, and no session is to end of that
SAME = ("id", "mcp", "client", "server", "decision")


@pytest.fixture
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdMembers]:
    with EtcdMembers(tmp_path_factory.mktemp("etcd")) as members:
        yield members


def listed(running: Running, query: str = "") -> Any:
    return running.json(f"/v1/sessions?{query}")


def ids(told: Any) -> list[str]:
    return [one["id"] for one in told["sessions"]]


def paged(running: Running) -> list[str]:
    told = listed(running, "limit=2")
    found = ids(told)
    while told["next"] is not None:
        told = listed(running, f"limit=2&cursor={told['next']}")
        found += ids(told)
    return found


def whole(running: Running) -> bool:
    """Whether the other controller answers: their stream may have been opened anew a moment ago."""
    return listed(running)["incomplete"] == []


def deleted(running: Running, path: str) -> int:
    token = (running.state / "token").read_text().strip()
    request = urllib.request.Request(
        running.url() + path, headers={"Authorization": f"Bearer {token}"}, method="DELETE"
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


@pytest.mark.row("D-6.7.1")
def test_either_owner_tells_all_sessions_and_has_any_of_them_aborted(
    tmp_path: Path, etcd: EtcdMembers
) -> None:
    with shared(tmp_path, etcd, policy=PATIENT) as made:
        for sport in (40_000, 40_001, 40_002):
            begun(made.at_lte, sport)
        for sport in (41_000, 41_001):
            begun(made.at_wlan, sport)
        assert (sessions(made.first), sessions(made.second)) == (3, 2)
        for running in (made.first, made.second):
            wait_for(lambda running=running: whole(running))  # type: ignore[misc]
        told = listed(made.first)
        assert told["total"] == 5 and len(set(ids(told))) == 5
        owners = [one.partition(":")[0] for one in ids(told)]
        assert sorted(owners.count(made.name_of(one)) for one in (made.first, made.second)) == [2, 3]
        assert ids(listed(made.second)) == ids(told) == paged(made.first) == paged(made.second)

        for wanted in ids(told):
            at_first, at_second = (one.json(f"/v1/sessions/{wanted}") for one in (made.first, made.second))
            assert [at_first[part] for part in SAME] == [at_second[part] for part in SAME]
            decision = at_first["decision"]
            chosen = [one.json(f"/v1/decisions/{decision}")["winner"] for one in (made.first, made.second)]
            assert chosen == ["core", "core"]

        name, other = made.name_of(made.first), made.name_of(made.second)
        wait_for(lambda: made.first.metric("steering_peer_up", peer=other, controller=name) == 1)

        mine = next(one for one in ids(told) if one.startswith(f"{made.name_of(made.first)}:"))
        assert deleted(made.second, f"/v1/sessions/{mine}") == 202
        wait_for(lambda: sessions(made.first) == 2)
        assert made.second.json(f"/v1/aborts/{mine}")["id"] == mine

        # Nobody can follow who died while etcd is frozen: its sessions are told by nobody.
        etcd.freeze(0)
        made.second.kill()
        wait_for(lambda: listed(made.first)["incomplete"] == [other])
        wait_for(lambda: made.first.metric("steering_peer_up", peer=other, controller=name) == 0)
        left = listed(made.first)
        assert left["total"] == 2 and all(not one.startswith(f"{other}:") for one in ids(left))
        gone = next(one for one in ids(told) if one.startswith(f"{other}:"))
        assert deleted(made.first, f"/v1/sessions/{gone}") == 503
        etcd.thaw(0)


def test_the_control_without_other_members_tells_its_own_alone(tmp_path: Path, etcd: EtcdMembers) -> None:
    with shared(tmp_path, etcd, "--disable", "peer-rest", policy=PATIENT) as made:
        begun(made.at_lte, 40_000)
        begun(made.at_wlan, 41_000)
        assert listed(made.first)["total"] == listed(made.second)["total"] == 1
