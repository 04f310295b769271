"""What the example files decide, connection by connection; the clock is an argument."""

from ipaddress import ip_address
from pathlib import Path

import pytest

from steering.core.selection.rulebook import Rulebook, RuleQuery
from steering.model.network import NetworkAccessType, Site, Trust
from steering.model.policy import Action, Authentication, Direction, Expectation, Mode, UsageMode
from steering.policy import load_policy, load_site

FOLDER = Path(__file__).resolve().parents[3] / "policies"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TYPES = {
    "lte": NetworkAccessType.CELLULAR,
    "wlan": NetworkAccessType.WLAN,
    "dsl": NetworkAccessType.FIXED,
    "sky": NetworkAccessType.SATELLITE,
}


@pytest.fixture(scope="module")
def site() -> Site:
    made, findings = load_site(str(FOLDER / "off-path.site.yaml"))
    assert findings == [] and made is not None
    return made


def book(name: str, site: Site) -> Rulebook:
    policy, findings = load_policy(str(FOLDER / f"{name}.policy.yaml"), site)
    assert [str(finding) for finding in findings] == [] and policy is not None
    return Rulebook(policy)


def at(words: str) -> int:
    """`mon 17:00` as the minute of the week."""
    day, clock = words.split()
    hour, minute = clock.split(":")
    return DAYS.index(day) * 1440 + int(hour) * 60 + int(minute)


def ask(
    source: str = "10.1.0.2",
    destination: str = "10.9.0.40",
    port: int = 443,
    access: str = "lte",
    trust: Trust = Trust.OPERATOR,
    version: int = 1,
    dscp: int = 0,
    direction: Direction = Direction.HOST,
    when: str = "mon 3:00",
) -> RuleQuery:
    packed = ip_address(source).packed, ip_address(destination).packed
    return RuleQuery(*packed, port, access, TYPES[access], trust, version, dscp, direction, at(when))


def rule_of(rulebook: Rulebook, question: RuleQuery) -> str | None:
    rule = rulebook.ask(question).rule
    return rule.name if rule else None


@pytest.mark.row("D-3.2b", "D-3.2f")
def test_business_pooling(site: Site) -> None:
    rulebook = book("business-pooling", site)
    office = rulebook.ask(ask(source="10.1.0.17"))
    assert office.subscriber is not None and office.subscriber.id == "office-7"
    assert office.rule is not None and office.rule.name == "business"
    assert office.terms.usage_mode is UsageMode.NATIVE
    assert rule_of(rulebook, ask(source="fd00:1::7:1", destination="fd00:9::1")) == "business"
    for source in ("10.1.0.15", "10.1.0.32"):
        other = rulebook.ask(ask(source=source))
        assert other.rule is not None and other.rule.name == "everybody-else"
        assert other.terms.usage_mode is UsageMode.ACTIVE_BACKUP
        assert other.terms.pooling.preferred[-1] is NetworkAccessType.CELLULAR
    limits = {c.name: c.quotas.sessions_per_subscriber for c in rulebook.policy.classes}
    assert limits == {"business": 512, "default": 128}


@pytest.mark.row("D-3.2d", "D-3.2b")
def test_cheapest_access_first(site: Site) -> None:
    rulebook = book("cheapest-access-first", site)
    for access in ("lte", "wlan", "dsl"):
        answer = rulebook.ask(ask(access=access))
        assert answer.rule is not None and answer.rule.name == "cheapest-first"
        assert [str(kind) for kind in answer.terms.pooling.preferred] == ["fixed", "wlan", "cellular"]
        assert dict(answer.terms.pooling.quota_bytes) == {NetworkAccessType.CELLULAR: 5_000_000_000}
    assert rulebook.ask(ask(access="sky")).terms.usage_mode is UsageMode.SINGLE


RUSH = [
    ("mon 16:59", "quiet-hours", "quiet-hours"),
    ("mon 17:00", "rush-hour-bulk", "rush-hour"),
    ("fri 21:59", "rush-hour-bulk", "rush-hour"),
    ("fri 22:00", "rush-hour-bulk", "quiet-hours"),
    ("sat 0:59", "rush-hour-bulk", "quiet-hours"),  # Friday's window still
    ("sat 1:00", "quiet-hours", "quiet-hours"),
    ("sat 19:59", "quiet-hours", "quiet-hours"),
    ("sun 0:30", "rush-hour-bulk", "quiet-hours"),
    ("mon 0:30", "quiet-hours", "quiet-hours"),
    ("sun 17:30", "quiet-hours", "quiet-hours"),
]


@pytest.mark.row("D-3.2c", "D-3.2e", "D-6.6k")
@pytest.mark.parametrize(("when", "bulk", "other"), RUSH)
def test_rush_hour_offload(when: str, bulk: str, other: str, site: Site) -> None:
    rulebook = book("rush-hour-offload", site)
    assert rule_of(rulebook, ask(port=5001, when=when)) == bulk
    assert rule_of(rulebook, ask(port=443, when=when)) == other


@pytest.mark.row("D-6.6k", "D-3.2e")
def test_what_the_rush_hour_changes(site: Site) -> None:
    rulebook = book("rush-hour-offload", site)
    bulk = rulebook.ask(ask(port=20, when="tue 18:00")).terms
    assert (bulk.expectation, bulk.usage_mode) == (Expectation.BULK, UsageMode.ACTIVE_BACKUP)
    assert rulebook.ask(ask(when="tue 18:00")).terms.ratio == (("lte", 1), ("wlan", 3))
    assert rulebook.ask(ask(when="tue 12:00")).terms.ratio == ()


@pytest.mark.row("D-6.5p3", "D-6.5p4")
def test_continuity(site: Site) -> None:
    rulebook = book("continuity", site)
    for port in (5060, 3479, 1194):
        terms = rulebook.ask(ask(port=port, dscp=46)).terms
        assert (terms.expectation, terms.max_stretch) == (Expectation.CONTINUITY, 4.0)
    assert rulebook.ask(ask(dscp=46)).terms.expectation is Expectation.LATENCY
    assert rule_of(rulebook, ask(dscp=34)) == "rest"


@pytest.mark.row("D-6.5p1", "D-6.5p2", "D-6.5p4")
def test_bulk_nearest_mcp(site: Site) -> None:
    rulebook = book("bulk-nearest-mcp", site)
    bulk = rulebook.ask(ask(port=873)).terms
    assert bulk.expectation is Expectation.BULK and bulk.max_stretch == 1.5
    assert bulk.weights is not None and bulk.weights.location > 10 * bulk.weights.load
    assert rulebook.ask(ask(port=5100)).terms.expectation is Expectation.NONE


@pytest.mark.parametrize(
    ("when", "candidates"),
    [("sat 23:59", set()), ("sun 0:00", {"core"}), ("sun 5:59", {"core"}), ("sun 6:00", set())],
)
def test_drain_for_maintenance(when: str, candidates: set[str], site: Site) -> None:
    assert book("drain-for-maintenance", site).ask(ask(when=when)).terms.mcps == candidates


@pytest.mark.row("D-6.4h", "D-6.2c")
def test_third_party_wlan(site: Site) -> None:
    rulebook = book("third-party-wlan", site)
    assert rulebook.policy.third_party_pooling
    terms = rulebook.ask(ask(access="wlan", trust=Trust.THIRD_PARTY)).terms
    assert (terms.authentication, terms.quotas.subflows_per_session) == (Authentication.HMAC, 2)
    denied = ask(access="wlan", trust=Trust.THIRD_PARTY, direction=Direction.SERVER)
    assert rulebook.ask(denied).terms.action is Action.DENY
    assert rule_of(rulebook, ask()) == "own-access"


@pytest.mark.row("N-5.6.3b", "N-5.6.3a", "S-22", "D-3.4b", "D-3.4c")
def test_data_centre(site: Site) -> None:
    rulebook = book("data-centre", site)
    assert rulebook.policy.eligible_ports == ((22, 22), (80, 80), (443, 443), (8000, 8999))
    maintenance = rulebook.ask(ask(destination="10.9.0.3", port=22)).terms
    user = rulebook.ask(ask(destination="10.9.0.3", port=443)).terms
    assert (maintenance.mcps, user.mcps) == ({"edge"}, {"core"})  # of one subscriber, at once
    assert (user.mode, user.expectation) == (Mode.HYBRID, Expectation.LATENCY)
    assert rule_of(rulebook, ask(source="fd00:1::2", destination="fd00:9::5", port=80)) == "web"
    assert rulebook.ask(ask(port=443, version=0)).terms.action is Action.BYPASS
    between = rulebook.ask(ask(source="10.9.0.2", destination="10.1.0.2", direction=Direction.SERVER)).terms
    assert between.mode is Mode.TRANSPARENT
    assert rulebook.ask(ask(destination="10.9.0.40", port=22)).terms.action is Action.DENY
    assert rule_of(rulebook, ask(destination="192.0.2.1", port=22)) is None  # the policy's own terms


@pytest.mark.row("D-1.ent")
def test_enterprise(site: Site) -> None:
    rulebook = book("enterprise", site)
    for source, name in (("10.1.0.2", "site-1"), ("10.2.0.7", "site-1"), ("fd00:2::f", "site-2")):
        target = "fd00:9::1" if ":" in source else "10.9.0.40"
        answer = rulebook.ask(ask(source=source, destination=target, access="dsl"))
        assert answer.subscriber is not None and answer.subscriber.id == name
        assert answer.rule is not None and answer.rule.name == "sites" and answer.terms.mcps == {"core"}
    assert rule_of(rulebook, ask(destination="10.9.0.129")) == "headquarters"
    assert rulebook.ask(ask(port=5060)).terms.expectation is Expectation.LATENCY
    assert rule_of(rulebook, ask(port=873, when="mon 8:00")) == "backups-by-day"
    assert [rule_of(rulebook, ask(port=873, when=t)) for t in ("mon 7:59", "sat 9:00")] == ["sites"] * 2
    assert rulebook.ask(ask(source="10.1.0.16")).terms.action is Action.BYPASS


def test_every_example_has_its_test() -> None:
    names = {path.name.split(".")[0].replace("-", "_") for path in FOLDER.glob("*.policy.yaml")}
    assert {f"test_{name}" for name in names - {"default"}} <= set(globals())


def test_every_example_says_what_it_is_for() -> None:
    for path in FOLDER.glob("*.policy.yaml"):
        assert path.read_text(encoding="utf-8").startswith("# "), path.name
