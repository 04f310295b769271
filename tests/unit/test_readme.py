"""README and book say nothing that is not so: their files are good, their commands, options and targets exist."""

import argparse
import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from steering.cli.main import COMMANDS, build_whole_parser
from steering.policy import parse_policy, parse_site

ROOT = Path(__file__).parents[2]
FIRST = (ROOT / "README.rst").read_text()
README = FIRST + (ROOT / "docs" / "manual.rst").read_text()


def test_the_files_it_shows_have_no_findings():
    site_text, *policies = map(
        textwrap.dedent, re.findall(r"\.\. code-block:: yaml\n\n((?: {4}.*\n|\n)+)", README)
    )
    site, findings = parse_site(site_text, "README.rst")
    assert findings == [] and site is not None and site.mcps[0].name == "core"
    rules = []
    for text in policies:
        policy, findings = parse_policy(text, "README.rst", site)
        assert findings == [] and policy is not None
        rules.append(len(policy.rules))
    assert rules == [3, 2]


def test_every_command_exists_and_none_is_forgotten():
    named = re.findall(r"^ {4}steering ([a-z]+)", README, re.M)
    assert set(named) == set(COMMANDS)


def test_every_make_target_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"make ([a-z]+)", README)) <= targets


def test_every_file_named_exists():
    for name in re.findall(r"``((?:policies|steering|topologies|tests)/[\w./-]+)``", README):
        assert (ROOT / name).exists(), name


def test_every_lab_mechanism_and_option_it_names_is_an_option():
    for option in re.findall(r"--(site|policy|source-mode|json|help|only)\b", README):
        sources = "".join(p.read_text() for p in (ROOT / "steering" / "cli").rglob("*.py"))
        assert option in ("help",) or f'"--{option}"' in sources


def test_the_readme_is_short_enough_to_be_read():
    assert len(FIRST.split()) <= 600


def test_the_book_has_every_document_once():
    index = (ROOT / "docs" / "index.rst").read_text()
    named = [line.strip() for line in re.findall(r"^ {4}([a-z/-]+)$", index, re.M)]
    docs = ROOT / "docs"
    there = {path.relative_to(docs).with_suffix("").as_posix() for path in docs.rglob("*.rst")}
    assert set(named) == there - {"index"} and len(named) == len(set(named))


# Generated of the parser itself; a synopsis of all commands.
WITHOUT_LINES = {"commands.rst", "manual.rst"}
LINE = re.compile(r"^ {4,}(?:ip netns exec \w+ )?(steering [a-z](?:[^\n]|(?<=\\)\n)*)$", re.M)
BEHIND = re.compile(r"\s+(?:#|2?>|&|\||\.\.\.|  ).*$", re.S)  # a comment, and what the shell takes for itself


def pages() -> Iterator[Path]:
    yield ROOT / "README.rst"
    yield from sorted((ROOT / "docs").rglob("*.rst"))


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    found = {"--help"}
    for action in parser._actions:
        found.update(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            found.update(*map(options_of, action.choices.values()))
    return found


def test_every_command_line_of_a_page_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    parser, taken = build_whole_parser(), 0
    for page in pages():
        for line in LINE.findall("" if page.name in WITHOUT_LINES else page.read_text()):
            words = shlex.split(BEHIND.sub("", re.sub(r"\\\n *", "", line)))
            try:
                parser.parse_args(words[1:])
            except SystemExit:
                pytest.fail(f"{page.name}: {line}: {capsys.readouterr().err}")
            taken += 1
    assert taken > 20


def test_every_option_that_a_sentence_names_is_one_of_its_command() -> None:
    whole = build_whole_parser()
    (commands,) = (one for one in whole._actions if isinstance(one, argparse._SubParsersAction))
    options = {name: options_of(parser) for name, parser in commands.choices.items()}
    named = 0
    for page in pages():
        for command, rest in re.findall(r"``steering ([a-z]+)([^`]*)``", page.read_text()):
            assert command in options, f"{page.name}: steering {command}"
            for option in re.findall(r"--[a-z][\w-]*", rest):
                assert option in options[command], f"{page.name}: steering {command}{rest}"
                named += 1
    assert named > 30
