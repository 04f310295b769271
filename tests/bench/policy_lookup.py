"""How long the first match among 10,000 rules takes, which is to be at most 20 us in the median.

`python -m tests.bench.policy_lookup` prints the row.
"""

import json
from ipaddress import ip_network
from random import Random
from statistics import median
from time import perf_counter_ns

from steering.core.selection.rulebook import Rulebook, RuleQuery
from steering.model.network import NetworkAccessType, Trust
from steering.model.policy import (
    Application,
    Direction,
    Policy,
    PolicyRule,
    RuleConditions,
    Subscriber,
    Terms,
    TimeWindow,
)

RULES = 10_000
SUBSCRIBERS = 1_000
LOOKUPS = 20_000
TARGET_US = 20.0
_SEED = 3


def policy(rules: int = RULES) -> Policy:
    """Rules of the kinds that operators write, in equal parts, and one for all the rest."""
    return Policy(
        rules=(
            *(PolicyRule(f"r{n}", _when(n), Terms()) for n in range(rules - 1)),
            PolicyRule("rest", RuleConditions(), Terms()),
        ),
        subscribers=tuple(
            Subscriber(f"s{n}", f"c{n % 20}", (ip_network((0x0A000000 + 64 * n, 26)),))
            for n in range(SUBSCRIBERS)
        ),
        applications=tuple(Application(f"a{n}", ((1000 + 10 * n, 1009 + 10 * n),)) for n in range(50)),
    )


def _when(n: int) -> RuleConditions:
    prefix = (ip_network((0xC0000000 + 256 * n, 24)),)
    port = 1000 + n % 600
    kinds = (
        RuleConditions(destinations=prefix, ports=((port, port),)),
        RuleConditions(subscribers=frozenset({f"s{n % SUBSCRIBERS}"}), applications=frozenset({f"a{n % 50}"}), dscp=frozenset({63})),
        RuleConditions(classes=frozenset({f"c{n % 20}"}), destinations=prefix),
        RuleConditions(sources=(ip_network((0x0A000000 + 16 * n, 28)),), ports=((443, 443),), mptcp_versions=frozenset({0})),
        RuleConditions(access_networks=frozenset({f"x{n % 100}"}), times=(TimeWindow(frozenset({1 + n % 7}), 60 * (n % 20), 1439),)),
    )  # fmt: skip
    return kinds[n % len(kinds)]


def questions(count: int = LOOKUPS) -> list[RuleQuery]:
    """Connections of hosts and servers that mostly come once, so that no address is looked up twice."""
    random = Random(_SEED)
    return [
        RuleQuery(
            (0x0A000000 + random.randrange(64 * SUBSCRIBERS)).to_bytes(4, "big"),
            (0xC0000000 + random.randrange(256 * RULES)).to_bytes(4, "big"),
            random.choice((443, 80, 1000 + random.randrange(600))),
            random.choice(("lte", "wlan", f"x{random.randrange(100)}")),
            random.choice(tuple(NetworkAccessType)),
            Trust.OPERATOR,
            1,
            random.choice((0, 0, 46)),
            Direction.HOST,
            7_000,
        )
        for _ in range(count)
    ]


def measure() -> dict[str, float | int]:
    """{"rules", "build_s", "lookups", "matched", "median_us", "p99_us", "target_us"}."""
    made = policy()
    began = perf_counter_ns()
    book = Rulebook(made)
    built = perf_counter_ns()
    took, matched = [], 0
    for question in questions():
        start = perf_counter_ns()
        answer = book.ask(question)
        took.append(perf_counter_ns() - start)
        matched += answer.rule is not None
    took.sort()
    return {
        "rules": RULES,
        "build_s": round((built - began) / 1e9, 3),
        "lookups": len(took),
        "matched": matched,
        "median_us": round(median(took) / 1e3, 2),
        "p99_us": round(took[len(took) * 99 // 100] / 1e3, 2),
        "target_us": TARGET_US,
    }


if __name__ == "__main__":
    print(json.dumps(measure()))
