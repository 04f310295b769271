"""README and manual say nothing that is not so: their files are good, their commands and targets exist."""

import re
import textwrap
from pathlib import Path

from steering.cli.main import COMMANDS
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
        sources = "".join(p.read_text() for p in (ROOT / "steering" / "cli").glob("*.py"))
        assert option in ("help",) or f'"--{option}"' in sources


def test_the_readme_is_short_enough_to_be_read():
    assert len(FIRST.split()) <= 600


def test_the_book_has_every_document_once():
    index = (ROOT / "docs" / "index.rst").read_text()
    named = [line.strip() for line in re.findall(r"^ {4}([a-z/-]+)$", index, re.M)]
    docs = ROOT / "docs"
    there = {path.relative_to(docs).with_suffix("").as_posix() for path in docs.rglob("*.rst")}
    assert set(named) == there - {"index"} and len(named) == len(set(named))
