"""`--json` of a command that changes something says whether anything is other than before, for programs that repeat an order (Ansible's
`changed_when`). Each order is given twice, to a controller with an engine."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from webob import Request

from steering.cli.main import main
from steering.core.inputs import McpReport
from steering.model.cluster import ClusterMember, ClusterStatus
from steering.store import credentials
from tests.support.fixed_view import TOKEN, north
from tests.support.live_page import LivePage
from tests.support.noted_control import Noted
from tests.support.rest_server import serve
from tests.support.sites import off_path_site
from tests.support.timed_requests import timed_requests

POLICY = (
    "policy: 1\nclasses: [{name: gold}]\nsubscribers:\n  - {id: s-1, class: gold, prefixes: [10.1.0.16/28]}\n"
)
ACL = {"entries": [{"name": "no-smtp", "action": "deny", "port": ["25"]}]}


@pytest.fixture
def live() -> LivePage:
    return LivePage(off_path_site())


@pytest.fixture
def state_dir(tmp_path: Path, live: LivePage) -> Iterator[Path]:
    (tmp_path / "token").write_text(TOKEN + "\n")
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "acl.json").write_text(json.dumps(ACL))
    for url in serve(live.north.application):
        credentials.write_rest_url(tmp_path, url)
        yield tmp_path


def changed(capsys: pytest.CaptureFixture[str], state_dir: Path, line: str) -> bool:
    """What the command's JSON says; `@name` is a file of the state directory."""
    words = [str(state_dir / word[1:]) if word.startswith("@") else word for word in line.split()]
    assert main([*words, "--json", "--state-dir", str(state_dir)]) == 0, capsys.readouterr().err
    told = json.loads(capsys.readouterr().out)
    assert type(told["changed"]) is bool, told
    return bool(told["changed"])


@pytest.mark.parametrize(
    ("order", "back"),
    [
        ("mcp drain core", "mcp undrain core"),
        ("access set lte --trust third-party", "access set lte --trust operator"),
        ("access offload lte wlan", "access offload lte --back"),
        ("link set s1:2-s3:2 --weight 3", "link reset s1:2-s3:2"),
        ("acl set @acl.json", None),
        ("registry add s-1 10.1.0.17", "registry add s-1 10.1.0.18 --deny"),
        ("pairing set cpe-1 10.1.0.17", "pairing set cpe-1 10.1.0.18"),
        ("policy apply @policy.yaml", "policy rollback 1"),
        ("policy clock --offset 60", "policy clock --offset 0"),
    ],
)
def test_an_order_that_is_repeated_changes_nothing(
    order: str, back: str | None, capsys: pytest.CaptureFixture[str], state_dir: Path
) -> None:
    assert [changed(capsys, state_dir, order) for _ in range(2)] == [True, False]
    if back is not None:
        assert [changed(capsys, state_dir, back) for _ in range(2)] == [True, False]
        assert changed(capsys, state_dir, order)


def test_a_dead_mcp_that_drains_already_is_as_it_was(
    live: LivePage, capsys: pytest.CaptureFixture[str], state_dir: Path
) -> None:
    assert changed(capsys, state_dir, "mcp drain core")
    (core,) = (mcp for mcp in live.get("/v1/mcps")["mcps"] if mcp["name"] == "core")
    live.driver.give(McpReport(core["id"], False, None))
    assert live.get("/v1/mcps/core")["health"] == "down"
    assert not changed(capsys, state_dir, "mcp drain core")


def test_what_would_change_is_said_without_a_change(
    capsys: pytest.CaptureFixture[str], state_dir: Path
) -> None:
    trial = "policy apply @policy.yaml --dry-run"
    assert [changed(capsys, state_dir, trial) for _ in range(2)] == [True, True]
    assert changed(capsys, state_dir, "policy apply @policy.yaml") and not changed(capsys, state_dir, trial)


def test_a_policy_that_is_in_force_makes_no_version(
    live: LivePage, capsys: pytest.CaptureFixture[str], state_dir: Path
) -> None:
    """Versions that are all one would push the real predecessors out of those that are kept."""
    for _ in range(3):
        changed(capsys, state_dir, "policy apply @policy.yaml")
    for _ in range(3):
        changed(capsys, state_dir, "policy rollback 1")
    assert live.control.texts == ["policy: 1\n", POLICY, "policy: 1\n"]


def test_what_is_as_it_is_wanted_is_no_update(
    live: LivePage, capsys: pytest.CaptureFixture[str], state_dir: Path
) -> None:
    assert changed(capsys, state_dir, "access set lte --trust third-party")
    given = len(live.control.given)
    assert not changed(capsys, state_dir, "access set lte --trust third-party")
    assert live.get("/v1/access-networks/lte")["sequence"] == 1 and len(live.control.given) == given


def test_a_subscribers_accesses(capsys: pytest.CaptureFixture[str], state_dir: Path) -> None:
    changed(capsys, state_dir, "policy apply @policy.yaml")
    order, back = "subscriber set s-1 --allowed wlan", "subscriber reset s-1"
    assert [changed(capsys, state_dir, line) for line in (order, order, back, back)] == [
        True,
        False,
        True,
        False,
    ]
    assert changed(capsys, state_dir, f"{order} --sequence 9"), "who numbers its updates itself has it sent"


@pytest.mark.parametrize(
    "words",
    ["--allowed wlan,cellular", "--allowed wlan,wlan --preferred wlan", "--preferred wlan,cellular,wlan"],
)
def test_a_subscribers_accesses_in_any_order(
    words: str, live: LivePage, capsys: pytest.CaptureFixture[str], state_dir: Path
) -> None:
    changed(capsys, state_dir, "policy apply @policy.yaml")
    order = f"subscriber set s-1 {words}"
    assert [changed(capsys, state_dir, order) for _ in range(3)] == [True, False, False]
    (one,) = live.get("/v1/subscribers")["subscribers"]
    assert one["access"]["sequence"] == 1


def test_a_token_that_is_made_or_taken_back_is_a_change(
    capsys: pytest.CaptureFixture[str], state_dir: Path
) -> None:
    assert changed(capsys, state_dir, "token add --role reader --name a")
    assert main(["token", "list", "--json", "--state-dir", str(state_dir)]) == 0
    (made,) = json.loads(capsys.readouterr().out)["tokens"]
    assert changed(capsys, state_dir, f"token revoke {made['id']}")


class LoneCluster:
    """A cluster of one member, which takes every order."""

    def status(self) -> ClusterStatus:
        return ClusterStatus("a", True, 7, (ClusterMember("a", "http://127.0.0.1:1"),), (), (), {})

    def decides(self) -> bool:
        return True

    def drain(self, controller: str, draining: bool) -> None:
        pass

    def rebalance(self, dry_run: bool) -> tuple[()]:
        return ()


def without_changed(app: Any) -> Any:
    """The northbound of a controller that does not say yet whether an order changed anything."""

    def older(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        answer = Request(environ).get_response(app)
        if answer.content_type == "application/json":
            answer.json_body = {name: value for name, value in answer.json_body.items() if name != "changed"}
        return cast(Iterable[bytes], answer(environ, start_response))

    return older


@pytest.mark.parametrize("form", [[], ["--json"]])
@pytest.mark.parametrize("order", ["cluster drain a", "cluster undrain a", "mcp drain core"])
def test_an_older_controller_carries_an_order_out(
    order: str, form: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Members of a cluster are upgraded one by one: each is drained first."""
    (tmp_path / "token").write_text(TOKEN + "\n")
    cluster = LoneCluster()
    for url in serve(without_changed(north(control=Noted(), cluster=cluster).application)):
        credentials.write_rest_url(tmp_path, url)
        assert main([*order.split(), *form, "--state-dir", str(tmp_path)]) == 0, capsys.readouterr().err
        out = capsys.readouterr().out
    assert not form or json.loads(out)["changed"] is True


@pytest.mark.parametrize(
    "order",
    [
        "registry add s-1 10.1.0.17",
        "pairing set cpe-1 10.1.0.17",
        "access offload lte wlan",
        "acl set @tagged.json",
    ],
)
def test_who_does_not_ask_whether_it_changed_anything_sends_the_order_alone(
    order: str,
    live: LivePage,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    state_dir: Path,
) -> None:
    assert main(["acl", "show", "--json", "--state-dir", str(state_dir)]) == 0
    (state_dir / "tagged.json").write_text(
        json.dumps(ACL | {"etag": json.loads(capsys.readouterr().out)["etag"]})
    )
    sent = timed_requests(monkeypatch)
    words = [str(state_dir / word[1:]) if word.startswith("@") else word for word in order.split()]
    assert main([*words, "--state-dir", str(state_dir)]) == 0
    assert [method for method, _ in sent] in (["POST"], ["PUT"])


def test_a_change_that_is_made_is_not_read_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state_dir: Path
) -> None:
    """What fails behind a change would end the command with a status as if there were none."""
    changed(capsys, state_dir, "policy apply @policy.yaml")
    sent = timed_requests(monkeypatch)
    assert changed(capsys, state_dir, "policy rollback 1")
    assert [method for method, _ in sent][-1] == "POST"


def test_of_a_change_of_an_mcp_the_answer_says_whether_it_was_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    (tmp_path / "core.yaml").write_text("name: core\nport: s3:1\n")
    for url in serve(north(control=Noted()).application):
        credentials.write_rest_url(tmp_path, url)
        sent = timed_requests(monkeypatch)
        assert not changed(capsys, tmp_path, "mcp change @core.yaml")
        assert [method for method, _ in sent] == ["GET", "PUT"]


@pytest.mark.parametrize(
    ("before", "order"),
    [
        ("registry add s-1 10.1.0.17", "registry remove s-1"),
        ("pairing set cpe-1 10.1.0.17", "pairing remove cpe-1"),
        ("token add --role reader", "token revoke ID"),
        ("binding add 22 --device cpe-1", "binding remove ID"),
        ("pairing list", "mcp add @fresh.yaml"),
    ],
)
def test_what_is_done_already_fails_the_second_time(
    before: str, order: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    (tmp_path / "fresh.yaml").write_text("name: fresh\nport: s3:1\n")
    made = north(control=Noted())
    for url in serve(made.application):
        credentials.write_rest_url(tmp_path, url)
        places = ["--json", "--state-dir", str(tmp_path)]
        assert main(["pairing", "set", "cpe-1", "10.1.0.17", *places]) == 0
        capsys.readouterr()
        first = [word.replace("@", f"{tmp_path}/") for word in before.split()]
        assert main([*first, *places]) == 0, capsys.readouterr().err
        told = json.loads(capsys.readouterr().out)
        words = [
            str(told["id"]) if word == "ID" else word.replace("@", f"{tmp_path}/") for word in order.split()
        ]
        assert [main([*words, *places]) for _ in range(2)] == [0, 1], capsys.readouterr().err
