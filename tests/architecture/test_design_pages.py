"""What the pages for contributors name is there: the functions that a SYN passes, the files where something stands."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.architecture import layers, tree

PAGES = sorted([*(layers.ROOT / "docs" / "design").glob("*.rst"), layers.ROOT / "CONTRIBUTING.rst"])
MEMBER = re.compile(r"``([A-Z][a-z][A-Za-z]*)\.([a-z_]+)``")
# Code that is no file of this tree: the page shows how one would be added.
CODE_BLOCK = re.compile(r"^\.\. code-block::.*\n(?:   .*\n|\n)+", re.MULTILINE)
PLACE = re.compile(r"``((?:[a-z_]+/)+[a-z_]*(?:\.py)?|[a-z_]+\.py)``")


def members(trees: Iterable[ast.AST]) -> dict[str, set[str]]:
    """Class -> its methods and fields, those included that a method sets, and those of classes that it inherits from."""
    found: dict[str, set[str]] = defaultdict(set)
    bases: dict[str, set[str]] = defaultdict(set)
    for one in trees:
        for node in ast.walk(one):
            if isinstance(node, ast.ClassDef):
                found[node.name] |= set(_members(node))
                bases[node.name] |= {base.id for base in node.bases if isinstance(base, ast.Name)}
    for name in found:
        todo, seen = list(bases[name]), {name}
        while todo:
            if (base := todo.pop()) not in seen:
                seen.add(base)
                todo += bases.get(base, ())
                found[name] |= found.get(base, set())
    return found


def _members(kind: ast.ClassDef) -> Iterable[str]:
    for node in ast.walk(kind):
        match node:
            case ast.FunctionDef(name=name):
                yield name
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                yield name


def lost_members(text: str, known: dict[str, set[str]]) -> list[str]:
    """`Class.member` in a text of which there is none."""
    return sorted(
        {f"{kind}.{name}" for kind, name in MEMBER.findall(text) if name not in known.get(kind, ())}
    )


def lost_files(text: str, files: Iterable[str]) -> list[str]:
    """Files and folders in a text that end no path of the tree."""
    known = {f"/{name}" for name in files} | {f"/{folder}/" for name in files for folder in _folders(name)}
    named = {place.rstrip("/") for place in PLACE.findall(text)}
    return sorted(
        place
        for place in named
        if not any(one.endswith((f"/{place}", f"/{place}/", f"/{place}.py")) for one in known)
    )


def _folders(name: str) -> Iterable[str]:
    return (parent.as_posix() for parent in Path(name).parents if parent.name)


def test_every_function_that_a_page_names_is_there() -> None:
    known = members(ast.parse(path.read_text(encoding="utf-8")) for path in layers.sources())
    texts = {page.name: page.read_text(encoding="utf-8") for page in PAGES}
    assert len(MEMBER.findall(texts["life-of-a-syn.rst"])) > 40
    lost = {name: found for name, text in texts.items() if (found := lost_members(text, known))}
    assert not lost, lost


def test_every_file_that_a_page_names_is_there() -> None:
    files = [path.relative_to(layers.ROOT).as_posix() for path in tree.tracked()]
    texts = {page.name: CODE_BLOCK.sub("", page.read_text(encoding="utf-8")) for page in PAGES}
    assert sum(len(PLACE.findall(text)) for text in texts.values()) > 80
    lost = {name: found for name, text in texts.items() if (found := lost_files(text, files))}
    assert not lost, lost


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("comes to ``Door.open``", []),
        ("``Door.width`` and ``Door._key`` and ``Door.colour``", []),
        ("``Door.shut``", ["Door.shut"]),
        ("``Window.open``", ["Window.open"]),
    ],
)
def test_a_function_that_is_gone_is_found(text: str, lost: list[str]) -> None:
    code = (
        "class Thing:\n    colour: str\n"
        "class Door(Thing):\n    width: int\n    def open(self):\n        self._key = 1"
    )
    assert lost_members(text, members([ast.parse(code)])) == lost


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("in ``core/handshakes`` and ``handshakes/syn.py``, ``steering/core/handshakes/``", []),
        ("``engine.py`` and ``core/engine``", []),
        ("``core/gone.py``", ["core/gone.py"]),
        ("``hand/syn.py``", ["hand/syn.py"]),
        ("``core/rooms``", ["core/rooms"]),
    ],
)
def test_a_file_that_is_gone_is_found(text: str, lost: list[str]) -> None:
    assert lost_files(text, ["steering/core/handshakes/syn.py", "steering/core/engine.py"]) == lost
