"""The chain of authorisers: order, closed when it fails, one question for each source, bounded while it waits."""

from ipaddress import ip_network

import pytest

from steering.core.inputs import AclReplaced, Authorised, PairingsReplaced, RegistryReplaced
from steering.core.outputs import Authorise, SendFrame, Steer
from steering.model.authorisation import (
    AclEntry,
    Authorization,
    Authorizer,
    CpeAcl,
    ListAnswer,
    RegistryEntry,
    Verdict,
)
from steering.model.policy import Policy, Quotas, RefusalForm, SubscriberClass
from steering.model.session import Refusal
from tests.support.sites import (
    SERVER,
    UE_LTE,
    UE_WLAN,
    Driver,
    answer,
    capable,
    join,
    nets,
    packed,
    refused,
    steered,
)

ACL, REGISTRY, HTTP, RADIUS = Authorizer
ALLOW, DENY = ListAnswer


def chained(*who: Authorizer, acl=(), cpe=None, **more) -> Driver:
    terms = Authorization(authorizers=who, **more)
    policy = Policy(authorization=terms, acl=acl, cpe_acl=cpe or CpeAcl(), refusal=RefusalForm.RESET)
    return Driver(policy=policy)


def entry(action: ListAnswer, *sources: str, **more) -> AclEntry:
    return AclEntry(f"{action}-{len(sources)}", action, nets(*sources), **more)


def asked(outputs) -> Authorise:
    (only,) = outputs
    assert isinstance(only, Authorise), only
    return only


def registered(address: str, allowed: bool = True) -> RegistryEntry:
    return RegistryEntry("p-" + address, allowed, nets(address))


# ---- the chain -----------------------------------------------------------------------------------


@pytest.mark.row("N-5.3.0")
def test_the_first_with_an_opinion_decides_in_the_order_of_the_policy():
    driver = chained(ACL, REGISTRY, RADIUS, acl=(entry(DENY, "10.1.0.2/32"),))
    driver.give(RegistryReplaced((registered("10.1.0.2"), registered("10.1.0.3", False))))
    assert refused(driver.syn(1, 1, capable(UE_LTE, 1))) == (3, False)  # the list, though registered
    assert refused(driver.syn(1, 1, capable("10.1.0.3", 1))) == (3, False)
    assert asked(driver.syn(1, 1, capable("10.1.0.4", 1))).authorizer is RADIUS  # nobody here knows it
    refusals = driver.counters.refusals
    assert refusals[Refusal.ACL] == 1 and refusals[Refusal.UNAUTHORISED] == 1

    other = chained(REGISTRY, ACL, acl=(entry(DENY, "10.1.0.2/32"),))
    other.give(RegistryReplaced((registered("10.1.0.2"),)))
    assert isinstance(other.syn(1, 1, capable(UE_LTE, 1))[0], Steer)


@pytest.mark.row("N-5.3.0", "N-5.3d")
def test_a_syn_waits_for_the_answer_and_goes_on_by_itself():
    driver = chained(HTTP, RADIUS)
    question = asked(driver.syn(1, 1, capable(UE_LTE, 1)))
    assert (question.authorizer, question.source, question.access) == (HTTP, packed(UE_LTE), "lte")
    assert not driver.table.by_id
    second = asked(driver.give(Authorised(question.request, Verdict.NO_OPINION)))
    assert second.authorizer is RADIUS and second.request != question.request
    assert steered(driver.give(Authorised(second.request, Verdict.ALLOW))).release
    assert len(driver.table) == 1
    assert driver.counters.authorisations == {("http", "no-opinion"): 1, ("radius", "allow"): 1}


@pytest.mark.row("N-5.3.0", "N-5.3d")
@pytest.mark.parametrize(
    "terms", [{"ttl": 1.0, "timeout": 5.0}, {"cached": 1}, {"cached": 1, "ttl": 1.0, "timeout": 5.0}]
)
@pytest.mark.parametrize("silent", [False, True])
def test_a_chain_comes_to_its_end_however_short_answers_last_and_however_few_are_kept(terms, silent):
    driver = chained(HTTP, RADIUS, fail_open=frozenset({RADIUS}), **terms)
    question = asked(driver.syn(1, 1, capable(UE_LTE, 1)))
    second = asked(driver.give(Authorised(question.request, Verdict.NO_OPINION)))
    patience = terms.get("timeout", 1.0)
    if silent:
        outputs = driver.later(patience + 0.1)
    else:
        driver.later(0.9 * patience)
        outputs = driver.give(Authorised(second.request, Verdict.ALLOW))
    assert any(isinstance(one, Steer) for one in outputs)
    assert not any(isinstance(one, Authorise) for one in outputs)
    assert len(driver.table) == 1 and driver.engine.authorising.waiting == 0


def sessions_of(driver: Driver, turns: int, every: float, lasts: dict[Authorizer, float]) -> list[Authorizer]:
    """A host opens a session each `every` seconds. HTTP has no opinion, RADIUS allows. Who was asked."""
    who = []
    for turn in range(turns):
        outputs = driver.syn(1, 1, capable(UE_LTE, 1000 + turn))
        while isinstance(outputs[0], Authorise):
            one = asked(outputs).authorizer
            who.append(one)
            said = Verdict.ALLOW if one is RADIUS else Verdict.NO_OPINION
            outputs = driver.give(Authorised(asked(outputs).request, said, ttl=lasts.get(one)))
        driver.now += every
    return who


@pytest.mark.row("N-5.3d")
@pytest.mark.parametrize(("brief", "other"), [(HTTP, RADIUS), (RADIUS, HTTP)])
def test_what_one_authoriser_said_lasts_no_longer_because_another_is_asked(brief, other):
    who = sessions_of(chained(HTTP, RADIUS, ttl=10.0), 12, 2.0, {brief: 1.0})
    assert who.count(brief) == 12 and who.count(other) == 3  # after 0, 10 and 20 s


@pytest.mark.row("N-5.3d")
def test_an_answer_that_is_over_counts_no_more_when_the_first_of_the_chain_is_asked_anew():
    driver = chained(HTTP, RADIUS)
    assert sessions_of(driver, 2, 1_000.0, {}) == [HTTP, RADIUS, HTTP, RADIUS]


@pytest.mark.row("N-5.3d")
def test_two_sources_that_take_each_others_room_for_answers_are_both_decided():
    driver = chained(HTTP, RADIUS, cached=1)
    open_ones = [asked(driver.syn(1, 1, capable(UE_LTE, 1))), asked(driver.syn(1, 1, capable("10.1.0.3", 1)))]
    for _ in range(4):
        outputs: list[object] = []
        for one in open_ones:
            said = Verdict.ALLOW if one.authorizer is RADIUS else Verdict.NO_OPINION
            outputs += driver.give(Authorised(one.request, said))
        open_ones = [one for one in outputs if isinstance(one, Authorise)]
    assert not open_ones and len(driver.table) == 2


@pytest.mark.row("N-5.3d")
def test_one_question_for_a_source_however_many_sessions_it_opens():
    driver = chained(RADIUS)
    question = asked(driver.syn(1, 1, capable(UE_LTE, 1)))
    assert driver.syn(1, 1, capable(UE_LTE, 2)) == []  # it waits for the same answer
    assert driver.syn(1, 1, capable(UE_LTE, 1)) == []  # repeated: no more room
    assert driver.engine.authorising.waiting == 2
    outputs = driver.give(Authorised(question.request, Verdict.ALLOW))
    assert [type(o) for o in outputs] == [Steer, Steer] and driver.engine.authorising.waiting == 0
    assert isinstance(driver.syn(1, 1, capable(UE_LTE, 3))[0], Steer)
    asked(driver.syn(1, 1, capable("10.1.0.9", 1)))  # another source is another question


@pytest.mark.row("N-5.3.0", "N-5.3d")
@pytest.mark.parametrize("how", ["error", "silence"])
def test_it_is_closed_when_an_authoriser_fails_and_open_where_the_policy_says_so(how):
    for open_, wanted in ((frozenset(), False), (frozenset({RADIUS}), True)):
        driver = chained(RADIUS, fail_open=open_)
        question = asked(driver.syn(1, 1, capable(UE_LTE, 1)))
        if how == "error":
            outputs = driver.give(Authorised(question.request, Verdict.ERROR))
        else:
            outputs = [o for o in driver.later(1.01) if isinstance(o, Steer | SendFrame)]
            assert driver.give(Authorised(question.request, Verdict.ALLOW)) == []  # too late
        assert any(isinstance(o, Steer) for o in outputs) is wanted
        assert len(driver.table) == wanted
        assert driver.counters.refusals[Refusal.UNAUTHORISED] == (not wanted)
        outcome = "error" if how == "error" else "timeout"
        assert driver.counters.authorisations == {("radius", outcome): 1}


def test_a_failure_is_forgotten_soon_a_denial_later_and_a_grant_last():
    driver = chained(RADIUS, ttl=300.0, denied_ttl=30.0)
    for said, lasts in ((Verdict.ERROR, 5.0), (Verdict.DENY, 30.0), (Verdict.ALLOW, 300.0)):
        question = asked(driver.syn(1, 1, capable(UE_LTE, int(lasts))))
        driver.give(Authorised(question.request, said))
        driver.later(lasts - 0.1)
        outputs = driver.syn(1, 1, capable(UE_LTE, int(lasts) + 1000))
        assert not any(isinstance(o, Authorise) for o in outputs)
        driver.later(0.2)
    question = asked(driver.syn(1, 1, capable(UE_LTE, 5000)))
    driver.give(Authorised(question.request, Verdict.ALLOW, ttl=2.0))  # its own word counts
    driver.later(2.1)
    asked(driver.syn(1, 1, capable(UE_LTE, 5001)))


def test_nobody_with_an_opinion_is_for_the_policy_to_decide():
    assert isinstance(chained(ACL, REGISTRY).syn(1, 1, capable(UE_LTE, 1))[0], Steer)
    driver = chained(ACL, REGISTRY, otherwise=DENY)
    assert refused(driver.syn(1, 1, capable(UE_LTE, 1))) == (3, False)


def test_what_waits_is_bounded_and_each_port_has_its_share():
    driver = chained(RADIUS, held=4)  # two access ports
    for number in (2, 3):
        asked(driver.syn(1, 1, capable(f"10.1.0.{number}", 1)))
    assert refused(driver.syn(1, 1, capable("10.1.0.4", 1))) == (2, True)
    assert driver.counters.refusals[Refusal.AUTHORISATION_QUEUE_FULL] == 1
    asked(driver.syn(2, 1, capable(UE_WLAN, 1)))  # the other access has room
    driver.later(1.1)
    assert driver.engine.authorising.waiting == 0
    asked(driver.syn(1, 1, capable("10.1.0.4", 1)))


def test_answers_are_bounded():
    driver = chained(RADIUS, cached=2)
    for number in (2, 3, 4):
        question = asked(driver.syn(1, 1, capable(f"10.1.0.{number}", 1)))
        driver.give(Authorised(question.request, Verdict.ALLOW, "gold"))
    asked(driver.syn(1, 1, capable("10.1.0.2", 2)))  # the oldest made room
    assert isinstance(driver.syn(1, 1, capable("10.1.0.4", 2))[0], Steer)
    assert set(driver.engine.chooser.granted) == {packed("10.1.0.3"), packed("10.1.0.4")}


def test_an_authoriser_may_name_the_class_of_a_source():
    policy = Policy(
        authorization=Authorization(authorizers=(HTTP,)),
        classes=(SubscriberClass("one", Quotas(sessions_per_subscriber=1)),),
    )
    driver = Driver(policy=policy)
    question = asked(driver.syn(1, 1, capable(UE_LTE, 1)))
    driver.give(Authorised(question.request, Verdict.ALLOW, "one"))
    driver.syn(1, 1, capable(UE_LTE, 2))
    assert len(driver.table) == 1 and driver.counters.refusals[Refusal.SESSION_LIMIT] == 1


def test_a_connection_that_gets_no_mcp_is_nobodys_to_authorise():
    driver = chained(RADIUS)
    asked(driver.syn(1, 1, capable(UE_LTE, 1)))
    outside = driver.syn(1, 1, capable(UE_LTE, 2, dst="10.2.0.2"))  # another access network
    assert not any(isinstance(o, Authorise) for o in outside)


def test_a_join_is_authorised_by_its_token_but_a_list_counts_for_it_too():
    driver = chained(ACL, RADIUS)
    question = asked(driver.syn(1, 1, capable(UE_LTE, 40000)))
    driver.give(Authorised(question.request, Verdict.ALLOW))
    driver.syn_ack(3, 1, answer(capable(UE_LTE, 40000)))
    assert isinstance(driver.syn(2, 1, join(UE_WLAN, 50000))[0], Steer)
    driver.give(AclReplaced((entry(DENY, "10.2.0.0/24"),)))
    assert refused(driver.syn(2, 1, join(UE_WLAN, 50001))) == (3, False)


# ---- lists ---------------------------------------------------------------------------------------


@pytest.mark.row("N-5.3b")
def test_a_list_matches_by_prefix_port_and_access_network_first_match_first():
    acl = (
        entry(ALLOW, "10.1.0.2/32", ports=((443, 443),)),
        entry(DENY, "10.1.0.0/24"),
        entry(DENY, access_networks=frozenset({"wlan"}), destinations=nets(SERVER)),
    )
    driver = chained(ACL, acl=acl)
    for dport, wanted in ((443, True), (80, False)):
        outputs = driver.syn(1, 1, capable(UE_LTE, dport, dport=dport))
        assert any(isinstance(o, Steer) for o in outputs) is wanted
    assert refused(driver.syn(2, 1, capable(UE_WLAN, 1))) == (3, False)
    assert not isinstance(driver.syn(2, 1, capable(UE_WLAN, 2, dst="10.9.0.7"))[0], SendFrame)


@pytest.mark.row("N-5.3b")
def test_the_live_list_stands_before_the_policys():
    driver = chained(ACL, acl=(entry(DENY, "10.1.0.0/24"),))
    assert refused(driver.syn(1, 1, capable(UE_LTE, 1))) == (3, False)
    driver.give(AclReplaced((entry(ALLOW, "10.1.0.2/32"),)))
    assert isinstance(driver.syn(1, 1, capable(UE_LTE, 2))[0], Steer)


# ---- explicit mode -------------------------------------------------------------------------------


@pytest.mark.row("N-5.3f", "S-14")
def test_mptcp_to_an_mcps_own_address_is_for_clients_and_paired_devices():
    open_ = chained(ACL)
    assert not isinstance(open_.syn(1, 1, capable(UE_LTE, 1, dst="10.8.0.2"))[0], SendFrame)

    driver = chained(ACL, cpe=CpeAcl(True, (ip_network("10.1.0.64/26"),)))
    assert refused(driver.syn(1, 1, capable(UE_LTE, 1, dst="10.8.0.2"))) == (3, False)
    assert driver.counters.refusals[Refusal.CPE_ACL] == 1
    assert not isinstance(driver.syn(1, 1, capable("10.1.0.70", 1, dst="10.8.0.2"))[0], SendFrame)
    driver.give(PairingsReplaced(frozenset({packed(UE_LTE)})))
    assert not isinstance(driver.syn(1, 1, capable(UE_LTE, 2, dst="10.8.0.2"))[0], SendFrame)
    driver.give(PairingsReplaced(frozenset()))
    assert refused(driver.syn(1, 1, capable(UE_LTE, 3, dst="10.8.0.2"))) == (3, False)
    assert isinstance(driver.syn(1, 1, capable(UE_LTE, 4))[0], Steer)  # implicit mode is not touched
