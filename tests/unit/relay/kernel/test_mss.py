"""The segment size on both legs: the option, the rules, and what a relay heeds of the policy."""

import io
from typing import Any

import pytest

from steering.relay.controller.agent import Agent
from steering.relay.kernel import mss
from steering.relay.kernel.commands import RuleError
from steering.relay.kernel.mss import AUTO, parse_clamp, ruleset
from steering.relay.kernel.rules import script
from steering.relay.log import Log
from steering.relay.model import OptionError
from tests.support.relay_options import options


@pytest.mark.row("N-5.6.4")
@pytest.mark.parametrize(
    ("text", "clamp"), [("auto", AUTO), ("off", None), ("88", 88), ("1360", 1360), ("65495", 65495)]
)
def test_the_option(text: str, clamp: int | None) -> None:
    assert parse_clamp(text) == clamp


@pytest.mark.parametrize("text", ["", "87", "65496", "-1", "1e3", "136000", "on", "\u0661\u0663\u0666\u0660"])
def test_refused_in_one_line(text: str) -> None:
    with pytest.raises(OptionError, match="--mss-clamp"):
        parse_clamp(text)


@pytest.mark.row("N-5.6.4")
def test_a_size_is_put_into_what_is_sent_and_what_is_received() -> None:
    rules = [line.strip() for line in ruleset(1360).splitlines() if "maxseg" in line]
    assert rules == ["tcp flags syn tcp option maxseg size set 1360"] * 2
    assert "hook output" in ruleset(1360) and "hook input" in ruleset(1360)
    assert "hook prerouting" not in ruleset(1360) and "hook forward" not in ruleset(
        1360
    )  # T-10: its own legs only


def test_auto_is_the_kernels_path_mtu_and_off_leaves_an_empty_table() -> None:
    assert "size set rt mtu" in ruleset(AUTO) and "hook input" not in ruleset(AUTO)
    assert "maxseg" not in ruleset(None) and "table inet steering_mss" in ruleset(None)
    assert "size set 1400" in script(options(mss_clamp=1400))


def agent(clamp: int | None) -> Agent:
    made = Agent.__new__(Agent)  # without its kernel socket, which takes root
    made._mss_clamp, made.avoids_fragments, made._log = clamp, None, Log(False, False, io.StringIO())
    return made


@pytest.mark.row("D-6.7.5b")
def test_the_policy_switches_it_and_back_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int | None] = []

    def switch(clamp: int | None) -> bool:
        told.append(clamp)
        return True

    monkeypatch.setattr(mss, "switch", switch)
    made = agent(1360)
    heard: list[Any] = [True, True, False, False, True, None, "no", 0]
    for avoid in heard:
        made._heed({"avoid_fragmentation": avoid})
    made._heed({})
    assert told == [1360, None, 1360] and made.avoids_fragments is True


def test_without_rules_of_its_own_a_relay_switches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(line: str, **_more: object) -> str:
        raise RuleError(f"{line}: no such table")

    monkeypatch.setattr(mss, "command", refused)
    made = agent(1360)
    made._heed({"avoid_fragmentation": True})
    assert made.avoids_fragments is None
