"""A site without MCPs: its switches route, and nothing waits for the controller."""

from steering.core.inputs import McpsReplaced, PolicyReplaced
from steering.model.policy import Action, Policy, PolicyRule, RuleConditions, Terms
from tests.support.fakes.packet import SYN
from tests.support.sites import SERVER, UE_LTE, off_path_site
from tests.support.switched import SERVER_MAC, V6, Lab, to_gateway

DENIED = Policy(rules=(PolicyRule("no", RuleConditions(), Terms(action=Action.DENY)),))


def waits(lab: Lab, src: str = UE_LTE, dst: str = SERVER) -> bool:
    """Whether a SYN goes to the controller and not on its way."""
    sent = lab.send(1, 1, to_gateway(src, 40_000, SYN, dst=dst))
    arrived = [(found.dpid, found.port, found.packet.eth_dst) for found in sent.deliveries]
    assert arrived == ([] if sent.copies else [(4, 1, SERVER_MAC)])
    return bool(sent.copies)


def test_syns_take_their_natural_path_and_no_controller_is_asked() -> None:
    lab = Lab(off_path_site(mcps=()))
    assert not waits(lab) and not waits(lab, V6[UE_LTE], V6[SERVER])
    assert waits(Lab())


def test_what_a_rule_denies_is_denied_all_the_same() -> None:
    lab = Lab(off_path_site(mcps=()), DENIED)
    assert waits(lab)
    lab.do(PolicyReplaced(Policy()))
    assert not waits(lab)
    lab.do(PolicyReplaced(DENIED))
    assert waits(lab)


def test_the_first_mcp_and_the_last_one_change_what_is_asked() -> None:
    site = off_path_site()
    lab = Lab(site)
    assert waits(lab)
    lab.do(McpsReplaced(()))
    assert not waits(lab)
    lab.do(McpsReplaced(site.mcps))
    assert waits(lab)
