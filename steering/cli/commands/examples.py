"""`steering examples`: lists the example site and policy files that are installed with this command, prints one, or
copies all."""

import argparse
import re
import shutil
import sys
from difflib import get_close_matches
from pathlib import Path

SUMMARY: str = "list, print or copy the example site and policy files"
EXAMPLE: str = "steering examples --copy net"

FOLDER = Path(__file__).resolve().parents[2] / "examples"
EXIT_FAILED = 1
_IDS = re.compile(r" \([A-Z][\w.]*-?[^()]*\)")  # requirement ids, which only developers look up
EXIT_USAGE = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="print this file (default: list all)")
    parser.add_argument("--copy", metavar="DIR", help="copy all of them there; nothing is overwritten")


def run(args: argparse.Namespace) -> int:
    """Returns 0, 1 if a file could not be written, or 2 for a name that does not exist."""
    found = {path.name: path for path in sorted(FOLDER.glob("*.yaml"))}
    if args.copy is not None:
        return _copy(list(found.values()), Path(args.copy))
    if args.name is None:
        width = max(map(len, found))
        for name, path in found.items():
            print(f"{name:<{width}}  {_about(path)}".rstrip())
        return 0
    if args.name not in found:
        near = get_close_matches(args.name, found, n=1)
        hint = f"did you mean '{near[0]}'?" if near else "'steering examples' lists them"
        print(f"steering examples: no example '{args.name}': {hint}", file=sys.stderr)
        return EXIT_USAGE
    print(found[args.name].read_text(encoding="utf-8"), end="")
    return 0


def _about(path: Path) -> str:
    """The first sentence of an example's first comment."""
    words: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("# "):
            if words:
                break
            continue
        words.append(line.removeprefix("# ").strip())
    sentence = " ".join(words).split(". ")[0].rstrip(".")
    return _IDS.sub("", sentence)


def _copy(paths: list[Path], folder: Path) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in paths:
            target = folder / path.name
            if target.exists():
                print(f"steering examples: {target} is there already and stays as it is", file=sys.stderr)
                continue
            shutil.copyfile(path, target)
            print(target)
    except OSError as error:
        print(f"steering examples: {error.filename}: {error.strerror}", file=sys.stderr)
        return EXIT_FAILED
    return 0
