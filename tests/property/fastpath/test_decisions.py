"""Every session that the fast path began has the MCP that `decide` names for it, by what was known when it began."""

import random

import pytest

from steering.core.selection.scoring import decide, effective
from steering.model.decision import DecisionKey, Outcome
from steering.model.network import PortRef
from steering.model.policy import Policy, Weights
from steering.openflow.fastpath import layouts
from steering.wire.craft import tcp_frame
from tests.property.fastpath.both_ways import BytesController
from tests.property.fastpath.traffic import SYN, PacketClass, Traffic, packet_in
from tests.support.sites import mcp, off_path_site, packed

SYNS = 400


@pytest.mark.parametrize("hysteresis", [0.0, 0.3])
@pytest.mark.parametrize("load", [0.0, 5.0])
def test_every_choice_is_what_decide_says(hysteresis: float, load: float) -> None:
    policy = Policy(
        max_stretch=100.0, hysteresis=hysteresis, weights=Weights(0.1, 0.0, load), avoid_sick=False
    )
    small = [
        mcp(f"m{n}", PortRef(switch, 1), f"10.8.{n}.2", capacity=150 + 50 * n)
        for n, switch in enumerate((3, 5))
    ]
    chance = random.Random(7)
    controller = BytesController(off_path_site(mcps=tuple(small)), policy, True)
    traffic, table = Traffic(chance, {}), controller.driver.table
    previous: dict[int, int] = {}
    reasons: set[str] = set()
    began = 0
    for number in range(SYNS):
        dpid = chance.choice((1, 2))
        source, target = packed(f"10.{dpid}.0.{chance.randrange(2, 200)}"), packed("10.9.0.2")
        options = b"".join(map(traffic.option, (*layouts.LINUX, layouts.CAPABLE_V1)))
        frame = tcp_frame(source, target, 2_000 + number, 5201, flags=SYN, options=options)
        loads = dict(table.active)
        controller.read(dpid, packet_in(PacketClass.SYN, 1, frame), 100.0)
        if len(table) == began:
            continue
        began += 1
        session = table.by_id[table.youngest]
        ruling = session.ruling
        assert ruling is not None
        key = DecisionKey(source, target, 2_000 + number, 5201, previous.get(dpid, 0))
        now_loads = tuple(loads[one] for one in ruling.candidates.ids)
        said = decide(
            effective(policy, ruling.terms), ruling.candidates, now_loads, ruling.outside, key, 100.0
        )
        assert said.outcome is Outcome.PROXY and said.mcp is not None
        assert (said.mcp.id, said.winner, said.reason) == (session.mcp, ruling.winner, ruling.reason), number
        assert table.loads_of(session) == now_loads
        previous[dpid] = session.mcp
        reasons.add(said.reason)
        if chance.random() < 0.3:  # some end, so that loads go both ways
            gone = chance.choice(list(table))
            controller.engine.sessions.teardown.end(gone)
            began -= 1
    assert controller.by_general == 0 and began > SYNS / 3
    assert reasons & {"score", "hysteresis", "rendezvous"}, reasons
