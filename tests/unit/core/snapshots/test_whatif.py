"""A question without a connection is answered as the connection would be."""

import pytest

from steering.core.snapshots.whatif import whatif
from steering.model.control import WhatIf
from steering.model.policy import Origin, Policy, PolicyRule, Presence, RuleConditions, Terms
from tests.support.sites import SERVER, UE_LTE, Driver, answer, capable, packed


def reason(driver: Driver, source_port: int | None = None) -> str:
    question = WhatIf(packed(UE_LTE), packed(SERVER), 5201, None, 1)
    if source_port is not None:
        question = question._replace(source_port=source_port)
    told = whatif(driver.engine, question, driver.now)
    return str(told.winner or told.reason)


@pytest.mark.row("N-5.2.2.1a")
def test_the_hosts_port_counts_where_the_mark_does():
    terms = Terms(terminate_only=frozenset({Origin.PROXIED}))
    made = Driver(
        policy=Policy(marker_ports=((50_000, 50_100),), rules=(PolicyRule("demux", RuleConditions(), terms),))
    )
    assert reason(made, 50_050) == "core"
    assert reason(made, 50_101) == reason(made) == "terminate-only"


@pytest.mark.row("N-5.6.1l")
def test_a_server_that_may_be_capable_is_left_to_the_host_where_mcps_are_withdrawn():
    made = Driver(policy=Policy(mcp_presence=Presence.WITHDRAW))
    assert reason(made) == "server-may-be-capable"
    opening = capable(UE_LTE, 40_000)
    made.syn(1, 1, opening)
    made.syn_ack(4, 1, answer(opening, key=b""))
    assert reason(made) == "core"
    assert reason(Driver()) == "core"


def test_what_is_not_eligible_says_whether_for_its_port_or_for_want_of_a_gateway():
    made = Driver(policy=Policy(eligible_ports=((80, 80),)))
    assert reason(made) == "port-not-eligible"
    away = WhatIf(packed(UE_LTE), packed("192.0.2.1"), 80, None, 1)
    assert whatif(made.engine, away, made.now).reason == "no-gateway"
    assert whatif(made.engine, away._replace(destination=packed(SERVER)), made.now).winner == "core"
