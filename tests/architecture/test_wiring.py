"""How pieces come together, above all those of core: each gets all that it needs when it is made, and nothing is put in later."""

import ast
import re
from collections.abc import Iterable

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


def is_called(annotation: ast.expr | None, aliases: frozenset[str]) -> bool:
    """Whether what is annotated so is a function. `aliases`: names that stand for types of functions."""
    if annotation is None:
        return False
    names = {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)}
    return bool(names & (aliases | {"Callable"}))


def callbacks_of(trees: Iterable[ast.Module]) -> frozenset[str]:
    """The names of attributes that hold a function: annotated so, or set to a constructor's argument that is annotated so."""
    trees = list(trees)
    aliases = frozenset(
        target.id
        for tree in trees
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("Callable[")
        for target in node.targets
        if isinstance(target, ast.Name)
    )
    found: set[str] = set()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Attribute):
                if is_called(node.annotation, aliases):
                    found.add(node.target.attr)
            elif isinstance(node, ast.FunctionDef) and node.name == "__init__":
                taken = {
                    one.arg
                    for one in [*node.args.args, *node.args.kwonlyargs]
                    if is_called(one.annotation, aliases)
                }
                for inner in ast.walk(node):
                    if (
                        isinstance(inner, ast.Assign)
                        and isinstance(inner.value, ast.Name)
                        and inner.value.id in taken
                    ):
                        found |= {one.attr for one in inner.targets if isinstance(one, ast.Attribute)}
    return frozenset(found)


def functions_of(trees: Iterable[ast.Module]) -> frozenset[str]:
    """The names of all functions and methods, without properties."""
    return frozenset(
        node.name
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and not any(ast.unparse(one) == "property" for one in node.decorator_list)
    )


def callbacks_put_in(tree: ast.AST, names: frozenset[str], functions: frozenset[str]) -> list[str]:
    """Functions that are set at another object under one of these names, and lambdas under any name."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            pairs = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts, strict=False))
            for one, value in pairs:
                if not isinstance(one, ast.Attribute) or ast.unparse(one.value) == "self":
                    continue
                last = ast.unparse(value).rpartition(".")[2]
                if isinstance(value, ast.Lambda) or (one.attr in names and last in functions):
                    found.append(ast.unparse(one))
    return found


# Two objects that call each other: the one that was made first gets its function when the other one is there.
CALL_EACH_OTHER = {
    "steering/openflow/app.py": ["self._sender.let_go"],  # the feed of traces gives what the sender sends
    # Authorisers answer to the application, and it asks them.
    "steering/runtime/application.py": ["self._sender.authorise"],
    # REST asks other controllers, and answers them; a fault is logged by the controller.
    "steering/runtime/controller.py": ["self.counters.work_faults.tell", "cluster.rest.answer"],
}


def test_elsewhere_too_functions_are_put_in_by_constructors() -> None:
    trees = {
        path.relative_to(layers.ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in layers.sources()
        if path.is_relative_to(layers.ROOT / "steering")
    }
    names = callbacks_of(trees.values())
    assert {"changed", "has_taken", "unreached", "answer"} <= names
    functions = functions_of(trees.values())
    late = {
        path: found for path, tree in trees.items() if (found := callbacks_put_in(tree, names, functions))
    }
    assert late == CALL_EACH_OTHER


def test_a_function_that_is_put_in_late_is_found() -> None:
    made = (
        "Answerer = Callable[[str], str]\n"
        "class A:\n    def __init__(self, told: Callable[[], None]):\n"
        "        self.told, self.at = told, 0\n        self.told = told\n        self.answer: Answerer | None = None"
    )
    names = callbacks_of([ast.parse(made)])
    assert names == {"told", "answer"}
    functions = functions_of(
        [
            ast.parse(
                "def tell(): ...\nclass B:\n    def _answer(self): ...\n    @property\n    def at(self): ..."
            )
        ]
    )
    for late in ("a.told = tell", "a.at = lambda: 1", "a.at, a.answer = 1, b._answer"):
        assert callbacks_put_in(ast.parse(late), names, functions), late
    for other in ("a.told = True", "self.told = tell", "a.told = b.at", "a.at = tell"):
        assert not callbacks_put_in(ast.parse(other), names, functions), other


def test_there_is_one_protocol_of_a_name_and_none_is_named_for_what_is_known() -> None:
    names = [
        node.name
        for path in layers.sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Protocol" for base in node.bases)
    ]
    assert len(names) == len(set(names)) > 10
    assert "Known" not in names
