"""A refusal names the key that was full, in words of the operator's."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from steering.core.network.site_index import SiteMap
from steering.core.selection.quotas import Allowance, Ledger, allowance, quota_keys
from steering.core.selection.rulebook import RuleMatch
from steering.model.ids import McpId
from steering.model.limit import Limit
from steering.model.policy import (
    Application,
    Limits,
    Policy,
    PolicyRule,
    Quotas,
    RuleConditions,
    Subscriber,
    SubscriberClass,
    Terms,
)
from tests.support.sites import off_path_site

NONE = Limit(9, "limits")


@pytest.mark.row("D-6.3f")
@pytest.mark.parametrize(("server", "name"), [("10.9.0.2", "10.9.0.2:443"), ("fd00:9::2", "[fd00:9::2]:443")])
def test_a_server_is_named_by_address_and_port(server: str, name: str) -> None:
    ledger = Ledger()
    keys = quota_keys("anna", "", ip_address(server).packed, 443, McpId(7))
    ledger.take(keys)
    limit = Limit(1, "policy")
    full = ledger.full(Allowance(NONE, (None, limit, None, None), ((1, limit),)), keys)
    assert str(full) == f"server {name}: 1 by policy"
    assert ("server", name, 1) in ledger.busiest(5) and len(ledger.busiest(5)) == 3, "not of no application"


SOURCES = ("policy", "rule bulk", "class gold", "subscriber anna", "application web")


def limits_of(source: str, quotas: Quotas, others: Quotas) -> Allowance:
    """What limits anna's web traffic under rule bulk where `source` has `quotas` and the other four have `others`."""
    of = {name: quotas if name == source else others for name in SOURCES}
    terms = Terms(quotas=of["rule bulk"])
    rule = PolicyRule("bulk", RuleConditions(), terms)
    subscriber = Subscriber("anna", "gold", quotas=of["subscriber anna"])
    classes = (SubscriberClass("gold", of["class gold"]),)
    policy = Policy(quotas=of["policy"], classes=classes, limits=Limits(subflows_per_session=8))
    return allowance(
        policy, RuleMatch(rule, terms, subscriber, Application("web", quotas=of["application web"]))
    )


@pytest.mark.row("D-6.3f", "D-6.4i", "N-7.2b")
@pytest.mark.parametrize("source", SOURCES)
def test_whoever_sets_the_least_limit_counts_and_is_named(source: str) -> None:
    least = Quotas(2, 10, 20, 30, 40)
    found = limits_of(source, least, Quotas(3, 11, 21, 31, 41))
    assert found.subflows == Limit(2, source)
    assert found.by_key == tuple(Limit(most, source) for most in (10, 20, 30, 40))
    alone = limits_of(source, least, Quotas())
    assert alone.subflows == Limit(2, source) and alone.by_key == found.by_key


def test_the_bound_of_the_controller_holds_whatever_the_quotas_allow() -> None:
    assert limits_of("policy", Quotas(subflows_per_session=100), Quotas()).subflows == Limit(8, "limits")
    assert limits_of("policy", Quotas(), Quotas()).by_key == (None,) * 4


@pytest.mark.row("N-7.2b")
@pytest.mark.parametrize(
    ("one", "other", "by_prefix", "same"),
    [
        ("fd00:1::2", "fd00:1::ffff:3", True, True),
        ("fd00:1::2", "fd00:1::ffff:3", False, False),
        ("fd00:1::2", "fd00:1:0:1::2", True, False),
        ("10.1.0.2", "10.1.0.3", True, False),
        ("fd00:9::2", "fd00:9::3", False, True),  # of no access network: nobody binds these
    ],
)
def test_an_unregistered_host_is_its_address_or_a_64_that_is_its_own(
    one: str, other: str, by_prefix: bool, same: bool
) -> None:
    site = off_path_site()
    lte, wlan = site.access_networks
    sitemap = SiteMap(replace(site, access_networks=(replace(lte, binds_prefixes=by_prefix), wlan)))
    first, second = (sitemap.origin_of(ip_address(text).packed) for text in (one, other))
    assert (first == second) is same
