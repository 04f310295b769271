"""The vocabulary of the product: one meaning for a class name, classes are nouns, modules are named by their subject."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.architecture import layers

# Nouns, though they end like participles.
NOUNS = {
    "Beginning",  # how a session began
    "Binding",  # of an external port to a host
    "Finding",  # of a check
    "Keyring",  # the tokens of REST
    "Learning",  # HostLearning: how a network's hosts become known
    "Listing",  # of nft's rules
    "Logging",  # the policy's section of that name
    "Mapping",  # of an internal address to an external one (RFC 6888)
    "Offering",  # of a service
    "Pairing",  # of a device with a subscriber, in REST
    "Pooling",  # the policy's section of that name
    "Reading",  # of a switch's entries
    "Ruling",  # what was decided
    "Setting",  # of a kernel
    "Standing",  # of a reservation
    "Steering",  # the application's name at os-ken's manager
}
# Messages to the core are named by what happened, exceptions by what went wrong.
HAPPENED = frozenset(
    f"steering/core/{name}.py" for name in ("inputs", "packet_inputs", "mcp_inputs", "peer_facts")
)
PARTICIPLE = re.compile(
    r"(?:[a-z]{2}ing|[a-z][^e]ed|Used|Seen|Known|Given|Taken|Told|Hidden|Made|Unmade|Written|Over|Own|Flat|This\w*)$"
)
LAST_WORD = re.compile(r"[A-Z][a-z0-9]*$")
SUBJECTS = {
    *(
        "binding",
        "drawing",
        "forwarding",
        "keyring",
        "mapping",
        "pairing",
        "rerouting",
        "scoring",
        "shadowing",
    ),
    *("spelling", "wording"),
}
EMPTY_NAMES = frozenset({"utils", "util", "helpers", "helper", "manager", "misc", "common", "base", "stuff"})


def classes() -> Iterator[tuple[str, ast.ClassDef]]:
    """Every class at the top of a file of the product or its labs, with the file's path."""
    for path in layers.sources():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                yield path.relative_to(layers.ROOT).as_posix(), node


# Its names are those of REST: packaging/clientcode.py makes it from the OpenAPI description.
MADE_FROM_REST = "steering/client/records.py"
CAPITALS = re.compile(r"[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]*)*")


def meanings(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The names of types at the top of a file, with what each is: `class`, or what an alias stands for. Left out are type
    variables, and the forms in which a thing stands in a file or in REST (`Annotated`): these are named as the thing."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield node.name, "class"
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            meaning = ast.unparse(node.value)
            if meaning.startswith("TypeVar(") or "Annotated[" in meaning:
                continue
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name) and CAPITALS.fullmatch(target.id):
                    yield target.id, meaning


def with_two_meanings(files: Iterable[tuple[str, ast.Module]]) -> dict[str, list[str]]:
    """Name -> where it stands, of names that mean two things. An alias may stand in several files if it is the same."""
    places: dict[str, list[str]] = defaultdict(list)
    known: dict[str, set[str]] = defaultdict(set)
    for path, tree in files:
        for name, meaning in meanings(tree):
            places[name].append(path)
            known[name].add(meaning)
    return {
        name: found
        for name, found in places.items()
        if len(known[name]) > 1 or (len(found) > 1 and "class" in known[name])
    }


def is_exception(node: ast.ClassDef) -> bool:
    """By its base, as far as a name tells."""
    bases = {ast.unparse(base) for base in node.bases}
    return any(re.search(r"(?:Error|Exception|Input|Unavailable)$", base) for base in bases)


def is_noun(name: str) -> bool:
    """False for a name whose last word is a participle."""
    last = LAST_WORD.search(name)
    word = last.group() if last else name
    return word in NOUNS or not PARTICIPLE.search(word)


def test_no_name_of_a_type_of_the_product_has_two_meanings() -> None:
    paths = [path.relative_to(layers.ROOT).as_posix() for path in layers.sources()]
    ours = [path for path in paths if path.startswith("steering/") and path != MADE_FROM_REST]
    twice = with_two_meanings(
        (path, ast.parse((layers.ROOT / path).read_text(encoding="utf-8"))) for path in ours
    )
    assert not twice, twice


@pytest.mark.parametrize(
    ("one", "other", "is_fault"),
    [
        ("class Way: ...", "class Way: ...", True),
        ("class Way: ...", "Way = tuple[int, int]", True),
        ("Way = tuple[int, int]", "Way: TypeAlias = frozenset[int]", True),
        ("Way = int | str", "Way = str | int", True),
        ("Way = tuple[int, int]", "Way = tuple[int, int]", False),
        ("class Way: ...", "Way = Annotated[str, Field(max_length=9)]", False),
        ("Way = TypeVar('Way')", "class Way: ...", False),
        ("WAY = 1", "WAY = 2", False),
    ],
)
def test_a_name_of_a_type_that_has_two_meanings_is_found(one: str, other: str, is_fault: bool) -> None:
    found = with_two_meanings([("one.py", ast.parse(one)), ("other.py", ast.parse(other))])
    assert found == ({"Way": ["one.py", "other.py"]} if is_fault else {})


def test_classes_are_nouns() -> None:
    others = [
        f"{path}: {node.name}"
        for path, node in classes()
        if not is_noun(node.name) and not is_exception(node) and path not in HAPPENED
    ]
    assert not others, "\n".join(others)


def test_aliases_of_types_are_nouns() -> None:
    others = [
        f"{path.relative_to(layers.ROOT)}: {name}"
        for path in layers.sources()
        if path != layers.ROOT / MADE_FROM_REST
        for name, meaning in meanings(ast.parse(path.read_text(encoding="utf-8")))
        if meaning != "class" and not is_noun(name)
    ]
    assert not others, "\n".join(others)


def test_modules_are_named_by_their_subject() -> None:
    others = [
        path.relative_to(layers.ROOT).as_posix()
        for path in layers.sources()
        if path.relative_to(layers.ROOT).parts[0] == "steering" and not names_its_subject(path)
    ]
    assert not others, "\n".join(others)


def names_its_subject(path: Path) -> bool:
    """False for a participle, and for a name that any module could bear."""
    name = path.stem
    return name in SUBJECTS or (
        name not in EMPTY_NAMES and not re.search(r"(?:[^aeiouy]ing|[a-z]{3}ed)$", name)
    )


def test_a_name_that_says_nothing_is_found() -> None:
    assert not any(
        map(is_noun, ["Pinning", "Watching", "Asked", "Desired", "FirstSeen", "Told", "Own", "TurnOver"])
    )
    assert all(map(is_noun, ["Keyring", "Feed", "HostLearning", "TokenBucket", "Ring", "Reading"]))
    assert not any(names_its_subject(Path(f"{name}.py")) for name in ("keeping", "declared", "utils"))
    assert all(names_its_subject(Path(f"{name}.py")) for name in ("scoring", "engine", "state_keeper"))


def edges_that_are_waypoints(tree: ast.AST) -> list[int]:
    """Lines on which something called `edge` is the number of a waypoint. An edge is a switch, or an arrow between two
    switches; the waypoint where a session came in is its `entrance`."""
    found: list[int] = []
    for node in ast.walk(tree):
        match node:
            case ast.arg(arg="edge", annotation=ast.expr() as meaning):
                pass
            case ast.AnnAssign(target=ast.Name(id="edge"), annotation=meaning):
                pass
            case ast.FunctionDef(name="edge", returns=ast.expr() as meaning):
                pass
            case ast.Assign(targets=[ast.Name(id="edge")], value=meaning):
                pass
            case _:
                continue
        if re.search(r"WaypointId|\bwaypoint\.id\b", ast.unparse(meaning)):
            found.append(node.lineno)
    return found


def test_an_edge_is_no_waypoint() -> None:
    found = [
        f"{path.relative_to(layers.ROOT)}:{line}"
        for path in layers.sources()
        for line in edges_that_are_waypoints(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not found, found


def test_an_edge_that_is_a_waypoint_is_found() -> None:
    for text in (
        "def f(edge: WaypointId | None) -> None: ...",
        "class A:\n    edge: WaypointId",
        "class A:\n    def edge(self) -> WaypointId: ...",
        "edge = attachment.waypoint.id",
    ):
        assert edges_that_are_waypoints(ast.parse(text)), text
    assert not edges_that_are_waypoints(ast.parse("def f(edge: DatapathId) -> None: ..."))
