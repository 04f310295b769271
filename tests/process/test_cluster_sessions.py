"""Sessions of two owners, asked at either one: each once, by its id, with its decision, and its end."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.controller_process import Running
from tests.support.etcd import EtcdMembers
from tests.support.share_owners import Shared, begun, sessions, shared
from tests.support.waiting import wait_for

PATIENT = "policy: 1\ntimers: {half_open: 120}\n"  # no MCP answers here, and no session is to end of that
SAME = ("id", "mcp", "client", "server", "decision", "winner")


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


def agreed(made: Shared) -> Any:
    """The sessions that both tell alike, in one answer and in pages. The other one may not answer for a moment, as when their
    stream was opened anew."""
    told: list[Any] = []

    def both() -> bool:
        told[:] = [listed(made.first)]
        others = (ids(listed(made.second)), paged(made.first), paged(made.second))
        return told[0]["incomplete"] == [] and all(one == ids(told[0]) for one in others)

    wait_for(both)
    return told[0]


def same(made: Shared, path: str) -> Any:
    """What both tell of one thing, by the parts of it that `SAME` names. As above it may take a moment."""
    told: list[Any] = []

    def both() -> bool:
        try:
            told[:] = [one.json(path) for one in (made.first, made.second)]
        except urllib.error.HTTPError:
            return False
        return {part: told[0].get(part) for part in SAME} == {part: told[1].get(part) for part in SAME}

    wait_for(both)
    return told[0]


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
        told = agreed(made)
        assert told["total"] == 5 and len(set(ids(told))) == 5
        owners = [one.partition(":")[0] for one in ids(told)]
        assert sorted(owners.count(made.name_of(one)) for one in (made.first, made.second)) == [2, 3]

        for wanted in ids(told):
            session = same(made, f"/v1/sessions/{wanted}")
            assert session["id"] == wanted
            assert same(made, f"/v1/decisions/{session['decision']}")["winner"] == "core"

        name, other = made.name_of(made.first), made.name_of(made.second)
        wait_for(lambda: made.first.metric("steering_peer_up", peer=other, controller=name) == 1)

        mine = next(one for one in ids(told) if one.startswith(f"{made.name_of(made.first)}:"))
        assert deleted(made.second, f"/v1/sessions/{mine}") == 202
        wait_for(lambda: sessions(made.first) == 2)
        assert same(made, f"/v1/aborts/{mine}")["id"] == mine

        # Nobody learns from etcd while it is frozen that a member died: what it had itself is missing, and that is said.
        etcd.freeze(0)
        made.second.kill()
        wait_for(lambda: listed(made.first)["incomplete"] == [other])
        wait_for(lambda: made.first.metric("steering_peer_up", peer=other, controller=name) == 0)
        left = listed(made.first)
        # Who stood by for its switches may have read there already what they hold: as sessions of its own.
        kept = {one for one in ids(told) if one.startswith(f"{name}:")} - {mine}
        assert left["total"] == len(ids(left)) and len(kept) == 2 and kept <= set(ids(left))
        assert not [one for one in ids(left) if one.startswith(f"{other}:")]
        gone = next(one for one in ids(told) if one.startswith(f"{other}:"))
        assert deleted(made.first, f"/v1/sessions/{gone}") == 503
        etcd.thaw(0)


def test_the_control_without_other_members_tells_its_own_alone(tmp_path: Path, etcd: EtcdMembers) -> None:
    with shared(tmp_path, etcd, "--disable", "peer-rest", policy=PATIENT) as made:
        begun(made.at_lte, 40_000)
        begun(made.at_wlan, 41_000)
        assert listed(made.first)["total"] == listed(made.second)["total"] == 1
