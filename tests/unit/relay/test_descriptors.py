"""How many open files a relay reserves, and what it says where it may not have them."""

import os
import resource

import pytest

from steering.relay.controller import inbound_ports
from steering.relay.descriptors import SPARE_DESCRIPTORS, beside_sessions, reserve_descriptors
from steering.relay.loop.poller import Poller
from steering.relay.model import (
    ControllerAccess,
    Endpoint,
    ExplicitOffer,
    ExplicitProtocol,
    Forward,
    PlatformError,
    RelayRole,
)
from steering.relay.observe.readers import MAX_READERS
from steering.relay.session.listeners import Listeners
from tests.support.relay_options import options

HERE = Endpoint("127.0.0.1", 0)
AGENT = ControllerAccess("http://127.0.0.1:1", "core", "t" * 40, None)


@pytest.mark.parametrize(
    ("told", "more"),
    [
        ({}, 0),
        ({"ports": (80, 443)}, 2),
        ({"role": RelayRole.UPSTREAM}, 1),
        ({"role": RelayRole.DATA_CENTRE}, 1),
        ({"listener": 8443}, 1),
        (
            {
                "explicit": (
                    ExplicitOffer(ExplicitProtocol.CONVERT, 8803),
                    ExplicitOffer(ExplicitProtocol.SOCKS, 1080),
                )
            },
            2,
        ),
        ({"forward": (Forward(HERE, HERE),) * 3}, 3),
        ({"inbound": AGENT}, inbound_ports.MOST),
        ({"status": "/run/relay.sock"}, 1 + MAX_READERS),
        ({"metrics": HERE}, 1 + MAX_READERS),
    ],
)
def test_every_listener_is_counted(told: dict[str, object], more: int) -> None:
    assert beside_sessions(options(**({"ports": ()} | told))) == SPARE_DESCRIPTORS + more


def test_what_is_counted_is_what_is_opened() -> None:
    told = options(ports=(), forward=(Forward(HERE, Endpoint("10.9.0.2", 80)),) * 3)
    listeners = Listeners(Poller())
    before = len(os.listdir("/proc/self/fd"))
    listeners.open(told)
    try:
        assert len(os.listdir("/proc/self/fd")) - before == 3 == beside_sessions(told) - SPARE_DESCRIPTORS
    finally:
        listeners.close()


def test_the_soft_limit_is_raised_and_never_lowered() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    try:
        reserve_descriptors(options(max_sessions=1000))
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (2000 + 2 + SPARE_DESCRIPTORS, before[1])
        reserve_descriptors(options(max_sessions=10))
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 2000 + 2 + SPARE_DESCRIPTORS
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_too_few_are_refused_with_what_would_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    hard = 2 * 10 + 256 + 2 + SPARE_DESCRIPTORS
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (hard, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _which, _limits: None)
    reserve_descriptors(options(inbound=AGENT, max_sessions=10))
    with pytest.raises(PlatformError) as refused:
        reserve_descriptors(options(inbound=AGENT, max_sessions=12, forward=(Forward(HERE, HERE),)))
    assert str(refused.value) == (
        f"--max-sessions 12 needs {hard + 5} open files and the hard limit is {hard}: "
        f"raise it (ulimit -Hn {hard + 5}) or say --max-sessions 9"
    )
    reserve_descriptors(options(inbound=AGENT, max_sessions=9, forward=(Forward(HERE, HERE),)))


def test_where_not_even_one_session_fits_no_number_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (64, 64))
    with pytest.raises(PlatformError, match=r"the hard limit is 64: raise it \(ulimit -Hn 86\)$"):
        reserve_descriptors(options())
