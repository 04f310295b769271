"""docs/performance.rst and its plots are made of measurements, and of nothing else."""

import copy
import json
from xml.etree import ElementTree

import pytest

from tests.bench import performance_page as made
from tests.bench.performance_sections import SECTIONS

CURVES = {
    "quick": False,
    "machine": {"processor": "One", "cores": 2, "kernel": "6.1", "python": "3.11.2", "load_before": 0.04},
    "commit": "0123456789abcdef",
    "command": "python -m tests.bench.curves",
    "seconds": 600.0,
    "network": [1_000, 1_000],
    "not_measured": {},
    "curves": {
        "sessions": {
            "1000": [
                {
                    "setup_us": 60.0,
                    "syn_us": 30.0,
                    "syn_ack_us": 15.0,
                    "join_us": 20.0,
                    "resident_bytes": 5_000,
                },
                {
                    "setup_us": 66.0,
                    "syn_us": 29.0,
                    "syn_ack_us": 15.0,
                    "join_us": 21.0,
                    "resident_bytes": 5_100,
                },
            ],
            "100000": [
                {
                    "setup_us": 240.0,
                    "syn_us": 30.0,
                    "syn_ack_us": 15.0,
                    "join_us": 20.0,
                    "resident_bytes": 700,
                }
            ],
        },
        "memory": {"1000": [{"bytes_per_session": 800}]},
        "switches": {},
        "mcps": {"2": [{"decision_large_p50_us": 4.5, "decision_large_first_us": 0.0}]},
    },
}
BENCH = {
    "commit": "fedcba9876543210",
    "quick": False,
    "setup_vs_naive": 13.2,
    "spread": {"setup_vs_naive": [12.1, 14]},
}


def test_the_page_and_its_plots_are_what_the_figures_say(capsys):
    assert made.main(["--check"]) == 0, (
        f"run python -m tests.bench.performance_page: {capsys.readouterr().out}"
    )


def test_the_least_of_several_counts_and_the_most_is_told():
    page = made.page(CURVES, {})
    assert "   * - 1,000\n     - 60.0 (66.0)\n     - 29.0 (30.0)\n     - 15.0\n" in page
    assert "     - 700\n     - not measured\n" in page, "a size that only one of two curves has"
    assert (
        "* A complete set-up takes 60.0 us at 1,000 sessions and 240 us at 100,000: it grows far slower than the number of"
        in page
    )
    assert "   * - tenfold\n     - x 2.00\n" in page
    assert "small sizes" not in page and "small sizes" in made.page(CURVES | {"quick": True}, {})


def test_what_was_not_measured_is_named():
    page = made.page(CURVES | {"not_measured": {"engine with 300 switches": "not done after 240 s"}}, {})
    assert "Not measured: engine with 300 switches: not done after 240 s." in page


def test_a_figure_that_misses_what_is_wanted_stands_beside_it():
    row = "complete set-ups, times the naive os-ken application's\n     - {}\n     - at least 30\n     - {}"
    assert row.format("not measured\n     -", "").rstrip() in made.page(CURVES, {})
    bench = made.of_bench(BENCH)
    page = made.page(CURVES, bench)
    assert (
        row.format("13.2\n     - 12.1 to 14", "missed") in page
        and "At commit fedcba987654: ``setup_vs_naive``." in page
    )
    better = made.of_bench(BENCH | {"setup_vs_naive": 31.0, "quick": True})
    assert row.format("31\n     - 12.1 to 14", "met, in a quick run") in made.page(CURVES, better)


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (0.5, "less, the more sessions there are"),
        (1.1, "about the same"),
        (2.0, "it grows far slower than the number of sessions"),
        (7.9, "it grows slower than the number of sessions"),
        (10.0, "it grows as the number of sessions does"),
        (15.0, "it grows faster than the number of sessions"),
    ],
)
def test_a_growth_has_its_words(factor, words):
    assert made.verdict(factor, "sessions") == words


def test_plots_are_drawn_of_the_figures_with_their_units_and_for_dark_and_light():
    files = made.generated(CURVES, {})
    for section in (SECTIONS[0], SECTIONS[2]):
        for plot in section.plots:
            text = files[f"performance/{plot.file}.svg"]
            whole = ElementTree.fromstring(text)
            told = [one.text or "" for one in whole.iter("{http://www.w3.org/2000/svg}text")]
            assert any(plot.axis in one for one in told) and any(section.axis in one for one in told)
            assert "prefers-color-scheme: dark" in text
    drawn = files["performance/sessions-time.svg"]
    assert (
        drawn.count("<polyline") == 4
        and drawn == made.generated(copy.deepcopy(CURVES), {})["performance/sessions-time.svg"]
    )
    slower = json.loads(json.dumps(CURVES).replace("240.0", "250.0"))
    assert made.generated(slower, {})["performance/sessions-time.svg"] != drawn
    assert (
        made.generated(slower, {})["performance/sessions-memory.svg"]
        == files["performance/sessions-memory.svg"]
    )
    assert "performance/switches-time.svg" not in files and "switches-time" not in files["performance.rst"], (
        "nothing was measured"
    )
    # What took no time at all has no place on a logarithmic axis.
    assert files["performance/mcps-time.svg"].count("<polyline") == 1
