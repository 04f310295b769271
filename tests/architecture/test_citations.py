"""Whatever code cites, a reader of the repository can open: documents that exist, requirement ids that are explained."""

import re
from pathlib import Path

import pytest

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
    ),
    re.IGNORECASE,
)
DOCUMENT = re.compile(r"\bdocs/[A-Za-z0-9_./-]*[A-Za-z0-9]")
# `(docs/design/measured.rst, Order)`: what stands after the comma is a heading there, or the words a paragraph begins with.
PLACE = re.compile(r"[(\"](docs/design/[a-z-]+\.rst), ([^()\";:\n]+)[)\"]")
HEADED = re.compile(r"^(.+)\n[-=~^]{3,}$|^\*\*(.+?)\*\*", re.MULTILINE)
REQUIREMENT = re.compile(r"(?<![\w.-])(?:[DNS]-F?\d+(?:\.[0-9A-Za-z]+)*|T-\d+|[BGL]\d{1,2})(?![\w-])")
EXPLAINED = re.compile(r"^``([^`]+)``", re.MULTILINE)


OTHER_CODE = frozenset({".js", ".c", ".h", ".sh", ".yaml", ".yml", ".toml", ".conf", ".cfg", ".service"})


def other_code() -> list[Path]:
    """Code in other languages, files of settings, and what makes pages and packages."""
    return [
        path
        for path in tree.tracked()
        if path.suffix in OTHER_CODE or path.relative_to(layers.ROOT).parts[0] in ("packaging", "Makefile")
    ]


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
    others = other_code()
    assert {path.suffix for path in others} >= {".js", ".c", ".sh", ".yaml", ".toml"}
    found = tree.findings(CLOSED, [*code_files(), *others])
    assert not found, "\n".join(found)


def test_every_document_that_code_names_exists() -> None:
    missing = [
        f"{path.relative_to(layers.ROOT)}: {name}"
        for path in code_files()
        for name in DOCUMENT.findall(tree.text_of(path))
        if not (layers.ROOT / name).exists()
    ]
    assert not missing, "\n".join(missing)


def places_in(text: str) -> set[str]:
    """What a citation may name of a document, in small letters and without a full stop or an article."""
    return {_plain(heading or words) for heading, words in HEADED.findall(text)}


def _plain(words: str) -> str:
    return words.replace("``", "").strip(" .").lower().removeprefix("the ").removeprefix("a ")


def lost_places(text: str) -> list[str]:
    """Citations in a text whose place is not in the document."""
    return [
        f"{document}, {place}"
        for document, place in PLACE.findall(text)
        if not any(
            one.startswith(_plain(place))
            for one in places_in((layers.ROOT / document).read_text(encoding="utf-8"))
        )
    ]


def test_every_place_that_code_names_in_a_document_is_there() -> None:
    cited = [(path, tree.text_of(path)) for path in code_files()]
    assert sum(len(PLACE.findall(text)) for _, text in cited) >= 5
    missing = [f"{path.relative_to(layers.ROOT)}: {one}" for path, text in cited for one in lost_places(text)]
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize(
    ("planted", "leads"),
    [
        ("(docs/" + "design/measured.rst, Order)", True),
        ("(docs/" + "design/measured.rst, the megaflow cache)", True),
        ('"docs/' + 'design/architecture.rst, Restart"', True),
        ("(docs/" + "design/measured.rst, what was never measured)", False),
    ],
)
def test_a_place_that_is_not_in_its_document_is_found(planted: str, leads: bool) -> None:
    assert (lost_places(f"# said there {planted}.") == []) is leads


@pytest.mark.parametrize(
    "planted",
    [
        "Design" + " section 5, step by step",
        "as design" + " section 3.2 says",
        "(facts" + "/openflow)",
        "see design" + ".md",
        "kernel-mptcp" + " 4",
    ],
)
def test_a_citation_of_a_note_that_nobody_can_open_is_found(planted: str) -> None:
    assert CLOSED.search(planted)


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
