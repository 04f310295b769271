"""How the pieces of core come together: each gets all that it needs when it is made, and nothing is put in later."""

import ast
import re

import pytest

from tests.architecture import layers, rooms


def put_in_later(tree: ast.AST) -> list[str]:
    """What a constructor, or a method that a constructor calls to make pieces, sets at an object that is already made, as
    `line: what`."""
    found = []
    for maker in ast.walk(tree):
        if not isinstance(maker, ast.FunctionDef) or not re.match("__init__$|_make_", maker.name):
            continue
        for node in ast.walk(maker):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                if ast.unparse(node.value) != "self":
                    found.append(f"{node.lineno}: sets {ast.unparse(node)}")
    return found


def callbacks(tree: ast.AST) -> list[str]:
    """Functions that are set at another object, wherever it is done."""
    return [
        f"{node.lineno}: sets {ast.unparse(target)}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda)
        for target in node.targets
        if isinstance(target, ast.Attribute) and ast.unparse(target.value) != "self"
    ]


def test_nothing_is_patched_in_late() -> None:
    broken = [
        f"{name}:{what}"
        for name, path in rooms.modules_in(rooms.CORE).items()
        for tree in [ast.parse(path.read_text(encoding="utf-8"))]
        for what in put_in_later(tree) + callbacks(tree)
    ]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    "code",
    [
        "class A:\n    def __init__(self, b):\n        b.told = self.tell",
        "class A:\n    def __init__(self):\n        self.b = B()\n        self.b.told = self.tell",
        "def _make_all():\n    b = B()\n    b.told = tell",
        "def later(b):\n    b.told = lambda: 1",
    ],
)
def test_the_check_of_late_patches_sees(code: str) -> None:
    tree = ast.parse(code)
    assert put_in_later(tree) or callbacks(tree)


def test_the_check_of_late_patches_lets_pass() -> None:
    tree = ast.parse("class A:\n    def __init__(self, b):\n        self.b = b\n        self.c = lambda: 1")
    assert not put_in_later(tree) and not callbacks(tree)


def test_there_is_one_protocol_of_a_name_and_none_is_named_for_what_is_known() -> None:
    names = [
        node.name
        for path in layers.sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Protocol" for base in node.bases)
    ]
    assert len(names) == len(set(names)) > 10
    assert "Known" not in names
