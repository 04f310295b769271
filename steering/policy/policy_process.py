"""A program that checks one policy, for a controller that must not stop meanwhile: `python -P -m
steering.policy.policy_process`. A thread would share the interpreter's lock, and a file of some thousand rules takes
seconds.

It reads one pickle, (text, file name, site), and writes several: whoever reads a thousand rules in one go stops for as
long as that takes, so they come in pieces. Both ends are the same program of the same user.
"""

import os
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any, BinaryIO

from steering.model.network import Site
from steering.model.policy import Policy
from steering.policy.language.findings import Finding
from steering.policy.policy_file import parse_policy

PIECE = 64  # elements of a list in one piece: some 2 ms to read
YIELDS = 10  # niceness: the controller goes first

Checked = tuple[Policy | None, list[Finding]]


def question(text: str, filename: str, site: Site | None) -> bytes:
    """What the program is told."""
    return pickle.dumps((text, filename, site), pickle.HIGHEST_PROTOCOL)


def pieces(checked: Checked) -> Iterator[bytes]:
    """What the program answers: first a policy without its long lists, findings, and how many elements each of those
    lists has; then the lists."""
    policy, findings = checked
    lists: dict[str, Any] = {}
    if policy is not None:
        lists = {one.name: getattr(policy, one.name) for one in fields(policy)}
        lists = {
            name: value for name, value in lists.items() if isinstance(value, tuple) and len(value) > PIECE
        }
        policy = replace(policy, **_emptied(lists))
    lengths = {name: len(value) for name, value in lists.items()}
    yield pickle.dumps((policy, findings, lengths), pickle.HIGHEST_PROTOCOL)
    for value in lists.values():
        for at in range(0, len(value), PIECE):
            yield pickle.dumps(value[at : at + PIECE], pickle.HIGHEST_PROTOCOL)


def _emptied(lists: dict[str, Any]) -> dict[str, Any]:
    return dict.fromkeys(lists, ())


def joined(answer: BinaryIO, pause: Callable[[], None]) -> Checked:
    """The result, read with pauses. Raises EOFError for an answer that is cut off, and for none pickle.UnpicklingError,
    TypeError or whatever else reading it as a pickle raises."""
    policy, findings, lengths = pickle.load(answer)
    if not isinstance(policy, Policy | None) or not isinstance(findings, list):
        raise TypeError("neither a policy nor findings")
    lists: dict[str, Any] = {}
    for name, length in lengths.items():
        found: list[Any] = []
        while len(found) < length:
            pause()
            found += pickle.load(answer)
        lists[name] = tuple(found)
    return None if policy is None else replace(policy, **lists), findings


def main() -> None:
    """Read, check, write."""
    with suppress(OSError):  # where it may not, the check goes on all the same
        os.nice(YIELDS)
    text, filename, site = pickle.load(sys.stdin.buffer)
    for piece in pieces(parse_policy(text, filename, site)):
        sys.stdout.buffer.write(piece)


if __name__ == "__main__":
    main()
