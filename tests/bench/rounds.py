"""Session set-up at the controller: steering, the naive application and ovs-testcontroller, round by round."""

from collections.abc import Callable
from statistics import median
from typing import Any

from tests.bench.machines import Arm, Bench, BenchError

Json = dict[str, Any]
Say = Callable[[str], None]

TOKENS = 1_500_000  # connections that one generator can bring to their second half
KEPT = ("rate", "p50_us", "p95_us", "cpu_us")


class SetUp:
    """`sessions` live ones before the measuring; each measurement takes `scale` of its usual time. `options`: more of
    `steering run`."""

    def __init__(
        self, rounds: int, sessions: int, scale: float, say: Say, options: tuple[str, ...] = ()
    ) -> None:
        self._options = options
        self._rounds, self._scale, self._say = rounds, scale, say
        self._sessions = sessions

    def run(self) -> Json:
        """All rounds. Raises BenchError."""
        with Bench(self._sessions, int(TOKENS * min(1.0, self._scale * 1.5))) as bench:
            self._say(f"set-up: starting controllers, {self._sessions} sessions each")
            ceiling = self._ceiling(bench)
            steering = bench.steering(*self._options)
            live = steering.run("setup", count=self._sessions)
            steering.driver.ask(f"targets {self._sessions}")
            naive = bench.naive()
            try:
                learning: Arm | None = bench.testcontroller()
                missing = None
            except BenchError as error:
                learning, missing = None, str(error)
                self._say(f"set-up: {missing}")
            found = []
            for number in range(self._rounds):
                found.append(self._round(number, steering, naive, learning))
                self._say(f"set-up: round {number + 1} of {self._rounds}: {_short(found[-1])}")
            resident = steering.controller.memory()
        result = summary(found)
        result |= {
            "sessions_live": self._sessions,
            "first_sessions": {key: live[key] for key in KEPT},
            "generator_ceiling": ceiling,
            "controller_resident_mib": round(resident / 2**20, 1),
            "testcontroller_missing": missing,
            "rounds": found,
        }
        return result

    def _ceiling(self, bench: Bench) -> Json:
        arm = bench.responder()
        found = {"setup": arm.run("setup", seconds=0.5), "syn": arm.run("syn", seconds=0.3)}
        arm.run("finish", count=1)
        arm.driver.ask("targets 1000")
        found["join"] = arm.run("join", seconds=0.3)
        return {mode: {key: answer[key] for key in KEPT} for mode, answer in found.items()}

    def _round(self, number: int, steering: Arm, naive: Arm, learning: Arm | None) -> Json:
        steps: list[tuple[str, Arm, str, float, Json]] = [
            ("steering_setup", steering, "setup", 1.5, {}),
            ("naive_setup", naive, "setup", 3.0, {}),
            ("steering_join", steering, "join", 1.0, {}),
            ("naive_join", naive, "join", 2.0, {}),
            ("steering_syn", steering, "syn", 1.0, {}),
            ("steering_alone", steering, "setup", 0.4, {"window": 1, "switches": 1}),
            ("naive_alone", naive, "setup", 0.6, {"window": 1, "switches": 1}),
        ]
        if learning is not None:
            steps.insert(1, ("testcontroller_pair", learning, "pair", 1.0, {}))
            steps.insert(6, ("testcontroller_syn", learning, "syn", 1.0, {}))
        if number % 2:
            steps.reverse()  # whoever comes first in a pair takes turns
        found: Json = {}
        for name, arm, mode, seconds, options in steps:
            answer = arm.run(mode, seconds=seconds * self._scale, **options)
            found[name] = {key: answer[key] for key in KEPT}
            if mode == "syn" and arm is steering:
                # The half-open ones are finished, or they would end by time-out in a later round.
                answer = arm.run("finish", count=1)
                found["steering_finish"] = {key: answer[key] for key in KEPT}
        return found


RATIOS = {
    "setup_vs_naive": ("steering_setup", "naive_setup"),
    "join_vs_naive": ("steering_join", "naive_join"),
    "syn_answer_vs_testcontroller": ("steering_syn", "testcontroller_syn"),
    "setup_vs_testcontroller": ("steering_setup", "testcontroller_pair"),
}


def summary(rounds: list[Json]) -> Json:
    """Medians over the rounds: of each round's ratio, and of every measurement. `spread`: a ratio's least and most."""
    result: Json = {"ratios_by_processor_time": {}, "spread": {}, "measured": {}}
    for name, (ours, theirs) in RATIOS.items():
        both = [(one[ours], one[theirs]) for one in rounds if theirs in one]
        by_rate = [a["rate"] / b["rate"] for a, b in both]
        result[name] = round(median(by_rate), 2) if both else None
        if both:
            result["spread"][name] = [round(min(by_rate), 2), round(max(by_rate), 2)]
        by_time = [b["cpu_us"] / a["cpu_us"] for a, b in both]
        result["ratios_by_processor_time"][name] = round(median(by_time), 2) if both else None
    for name in sorted({name for one in rounds for name in one}):
        rows = [one[name] for one in rounds if name in one]
        result["measured"][name] = {key: round(median(row[key] for row in rows), 1) for key in KEPT}
    return result


def _short(found: Json) -> str:
    parts = []
    for name, (ours, theirs) in RATIOS.items():
        if theirs in found:
            parts.append(f"{name} {found[ours]['rate'] / found[theirs]['rate']:.1f}")
    return ", ".join(parts)
