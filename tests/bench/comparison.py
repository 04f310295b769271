"""Figures of two commits side by side: key by key, from what several rounds of each found."""

import re
from collections.abc import Iterator, Mapping, Sequence
from math import inf
from statistics import median
from typing import Any

Json = dict[str, Any]
Figures = Mapping[str, float]

# Rows of a list are named by these of their values.
ROWS = {"decision_us": ("switches", "mcps"), "resync": ("switches",), "stalls": ("meanwhile",)}
NOT_FIGURES = frozenset({"seconds", "sessions_live", "stalls_sessions", "quick"})
MORE_IS_BETTER = re.compile(r".*(\.rate|_vs_naive|_vs_testcontroller)")
# Processor time of enough work to be compared where others use the machine too.
JUDGED = re.compile(r"measured\.steering_(setup|syn|join|finish)\.cpu_us|resync_total_ms|fill_1000_s")


def figures(found: Json) -> dict[str, float]:
    """One number a key, of the JSON that `steering bench` writes, whichever commit wrote it."""
    told: dict[str, float] = {key: value for key, value in found.items() if _is_figure(key, value)}
    for name, row in found.get("measured", {}).items():
        told |= {f"measured.{name}.{key}": row[key] for key in ("cpu_us", "rate") if key in row}
    for part, names in ROWS.items():
        for row in found.get(part, []):
            label = " ".join(str(row.get(name)) for name in names)
            told |= {f"{part}[{label}].{key}": row[key] for key in row if _is_figure(key, row[key], names)}
    return told


def _is_figure(key: str, value: object, names: Sequence[str] = ()) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and key not in {*NOT_FIGURES, *names}
    )


def compared(then: Sequence[Figures], now: Sequence[Figures]) -> Json:
    """`keys`: median and best of both, and the ratio of the best ones, now over then. The best is the least of a cost and
    the most of a rate: other work on the machine makes a figure worse and never better. `only_then`, `only_now`: keys that
    just one of them has."""
    both: Json = {}
    before, after = _columns(then), _columns(now)
    for key, values in before.items():
        if key in after:
            first, second = _spread(key, values), _spread(key, after[key])
            ratio = round(second["best"] / first["best"], 3) if first["best"] else None
            judged = JUDGED.fullmatch(key) is not None
            both[key] = {"then": first, "now": second, "ratio": ratio, "judged": judged}
    return {
        "keys": both,
        "only_then": sorted(set(before) - set(after)),
        "only_now": sorted(set(after) - set(before)),
    }


def _columns(rounds: Sequence[Figures]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for one in rounds:
        for key, value in one.items():
            found.setdefault(key, []).append(value)
    return found


def _spread(key: str, values: Sequence[float]) -> Json:
    best = max(values) if MORE_IS_BETTER.fullmatch(key) else min(values)
    return {"median": median(values), "best": best, "all": list(values)}


def worse(keys: Json, bound: float) -> list[str]:
    """Keys of processor time that take more than `bound` times what they took."""
    return [key for key, one in keys.items() if one["judged"] and (one["ratio"] or 0) > bound]


def table(found: Json, bound: float) -> Iterator[Sequence[str]]:
    """Rows of text, the first one a heading."""
    rounds = found["rounds"]
    yield (
        f"NOW AGAINST {found['then'][:12]}, {rounds} rounds",
        "THEN median",
        "best",
        "NOW median",
        "best",
        "RATIO",
        "",
    )
    for key, one in found["keys"].items():
        ratio = inf if one["ratio"] is None else one["ratio"]
        mark = "" if not one["judged"] else "ok" if ratio <= bound else "WORSE"
        shown = [_shown(one[side][which]) for side in ("then", "now") for which in ("median", "best")]
        yield (key, *shown, "-" if one["ratio"] is None else f"{ratio:.2f}", mark)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def notes(found: Json, bound: float) -> list[str]:
    """What stands below the table."""
    lines = [
        "Best: the least of a cost, the most of a rate. Ratio: the best now over the best then.",
        f"Judged is processor time only (ok or WORSE: more than {bound:g} times). What has another unit depends on who else uses"
        " the machine.",
    ]
    for side, title in (("only_then", "only the earlier commit has"), ("only_now", "only this tree has")):
        if found[side]:
            lines.append(f"{title}: {', '.join(found[side])}")
    lines += found["left_out"]
    return lines
