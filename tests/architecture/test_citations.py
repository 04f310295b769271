"""Whatever code cites, a reader of the repository can open: documents that exist, requirement ids that are explained."""

import re
from pathlib import Path

from tests.architecture import layers, tree

REQUIREMENTS = layers.ROOT / "docs" / "design" / "requirements.rst"
CODE = ("steering", "topologies", "tests")

# Notes that were never part of the repository. Written in pieces, so that this file does not find itself.
CLOSED = re.compile(
    "|".join(
        [
            r"\bdesign" + r" sections?\b",
            r"\b(?:design|house|requirements|performance|openflow|os-ken|kernel-mptcp|mptcp-protocol)"
            + r"\.md\b",
            r"\bfacts" + r"/",
            r"\bkernel-mptcp" + r" \d",
            r"\bmptcp-protocol" + r" section",
            r"\bissue" + r" (?:\d|of\b)",
        ]
    )
)
DOCUMENT = re.compile(r"\bdocs/[A-Za-z0-9_./-]*[A-Za-z0-9]")
REQUIREMENT = re.compile(r"(?<![\w.-])(?:[DNS]-F?\d+(?:\.[0-9A-Za-z]+)*|T-\d+|[BGL]\d{1,2})(?![\w-])")
EXPLAINED = re.compile(r"^``([^`]+)``", re.MULTILINE)


def code_files() -> list[Path]:
    """Python files of the product, its labs and its tests."""
    return [
        path
        for path in tree.tracked()
        if path.suffix == ".py" and path.relative_to(layers.ROOT).parts[0] in CODE
    ]


def unexplained(text: str, explained: frozenset[str]) -> list[str]:
    """Ids in a text that no heading explains; a section (`D-6.7`) counts when something below it is explained."""
    return sorted(
        cited
        for cited in set(REQUIREMENT.findall(text))
        if not any(one == cited or re.match(re.escape(cited) + r"[.a-z]", one) for one in explained)
    )


def test_no_code_cites_a_note_that_a_reader_cannot_open() -> None:
    found = tree.findings(CLOSED, code_files())
    assert not found, "\n".join(found)


def test_every_document_that_code_names_exists() -> None:
    missing = [
        f"{path.relative_to(layers.ROOT)}: {name}"
        for path in code_files()
        for name in DOCUMENT.findall(tree.text_of(path))
        if not (layers.ROOT / name).exists()
    ]
    assert not missing, "\n".join(missing)


def test_every_requirement_that_code_cites_is_explained() -> None:
    explained = frozenset(EXPLAINED.findall(REQUIREMENTS.read_text(encoding="utf-8")))
    assert len(explained) > 300
    missing = [
        f"{path.relative_to(layers.ROOT)}: {cited}"
        for path in layers.sources()
        for cited in unexplained(tree.text_of(path), explained)
    ]
    assert not missing, "\n".join(missing)


def test_an_id_without_an_explanation_is_found() -> None:
    explained = frozenset({"D-6.7.1", "N-5.6a", "G5", "T-9"})
    assert unexplained("(D-6.7, N-5.6a, G5) and T-9", explained) == []
    assert unexplained("D-6.8, N-5.6b, S-1, G6; B3, T-90", explained) == [
        "B3",
        "D-6.8",
        "G6",
        "N-5.6b",
        "S-1",
        "T-90",
    ]
    assert CLOSED.search("see facts" + "/openflow") and not CLOSED.search("a fact of Open vSwitch")
