"""GET /v1/limits and `steering limits`: use, and each limit that was reached by its full name."""

import json
import logging
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest

from steering.cli.main import main
from steering.core.counters import FULLS, Counters
from steering.core.snapshots.view import EngineView
from steering.model.limit import FullLimit, Limit
from steering.model.policy import OverLimit, Policy, Quotas, Subscriber, SubscriberClass
from steering.model.session import Refusal
from steering.northbound.auth.pseudonyms import pseudonym
from steering.runtime.orders.declared_site import DeclaredSite
from steering.runtime.orders.operator import Operator
from steering.runtime.orders.registrar import Registrar
from steering.store.memory import MemoryStore
from tests.support.fixed_answers import IMSI
from tests.support.fixed_view import served
from tests.support.rest_replies import asking
from tests.support.rest_server import state_directory
from tests.support.sites import TOKEN as SESSION_TOKEN
from tests.support.sites import UE_LTE, UE_WLAN, Driver, capable, join, refused

ANNA = Subscriber("anna", "home", (ip_network("10.1.0.0/30"),))
POLICY = Policy(
    quotas=Quotas(sessions_per_server=9, subflows_per_session=1),
    classes=(SubscriberClass("home", Quotas(sessions_per_subscriber=2)),),
    subscribers=(ANNA,),
    over_limit=OverLimit.REFUSE,
)


@pytest.fixture
def driver() -> Driver:
    """anna has two sessions, was refused a third, and a second subflow."""
    found = Driver(policy=POLICY)
    found.session()
    found.syn(1, 1, capable(UE_LTE, 2))
    assert refused(found.syn(1, 1, capable(UE_LTE, 3)))
    assert refused(found.syn(2, 1, join(UE_WLAN, 40001, SESSION_TOKEN)))
    return found


@pytest.mark.row("D-6.3f")
def test_limits_their_use_and_each_refusal_by_name(driver: Driver) -> None:
    body = asking(driver)("/v1/limits")
    assert {"limit": "sessions", "most": 200_000, "used": 2} in body["controller"]
    assert {"limit": "sessions_per_subscriber", "source": "class home", "most": 2} in body["quotas"]
    assert {"limit": "sessions_per_server", "source": "policy", "most": 9} in body["quotas"]
    name = pseudonym(b"k" * 32, "anna")
    assert {"kind": "subscriber", "name": name, "sessions": 2} in body["use"]
    assert {"kind": "mcp", "name": "core", "sessions": 2} in body["use"]
    assert body["refusals"] == {Refusal.SESSION_LIMIT.value: 1, Refusal.SUBFLOWS_FULL.value: 1}
    reached = [(one["kind"], one["name"], one["most"], one["source"], one["count"]) for one in body["full"]]
    assert reached == [
        ("subscriber", name, 2, "class home", 1),
        ("subflows", "of a session", 1, "policy", 1),
    ]
    assert body["last_full"]["kind"] == "subflows"
    assert "anna" not in json.dumps(body)


def test_different_limits_that_were_reached_are_bounded() -> None:
    counters = Counters()
    for number in range(FULLS + 9):
        counters.full(FullLimit("subscriber", str(number), Limit(1, "policy")))
    assert len(counters.fulls) == FULLS
    assert str(counters.last_full) == f"subscriber {FULLS + 8}: 1 by policy"


def test_the_log_names_a_limit_once_a_look(
    driver: Driver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    view = EngineView(driver.engine, lambda: driver.now, "0")
    declared = DeclaredSite({"mcps": []}, driver.site, [], MemoryStore())
    registrar = Registrar(declared, driver.engine, None, lambda work, *given: work(*given))
    operator = Operator(driver.engine, driver.counters, registrar, view, tmp_path, lambda: driver.now)
    operator.tell_limits()
    operator.tell_limits()
    assert [record.getMessage() for record in caplog.records] == [
        "a limit was reached: subflows of a session: 1 by policy"
    ]
    driver.syn(1, 1, capable(UE_LTE, 4))
    operator.tell_limits()
    last = caplog.records[-1].getMessage()
    assert last.startswith("a limit was reached: subscriber ") and last.endswith(": 2 by class home")
    assert "anna" not in last


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    yield from state_directory(tmp_path / "state", served())


@pytest.mark.row("D-6.3f")
def test_the_command_names_them_too(state_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["limits", "--state-dir", str(state_dir)]) == 0
    out = capsys.readouterr().out
    name = pseudonym(b"k" * 32, IMSI)
    assert f"subscriber {name}: 2 by subscriber {name}" in out
    assert "session-limit" in out and IMSI not in out
    assert main(["limits", "--json", "--state-dir", str(state_dir)]) == 0
    assert json.loads(capsys.readouterr().out)["refusals"] == {"session-limit": 1}
