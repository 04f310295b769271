"""A program that checks one policy while the controller goes on: `python -P -m steering.policy.policy_process`. A file of
some thousand rules takes seconds, and a thread of the controller would hold the interpreter's lock for them.

The program reads one pickle, (text, file name, site), and writes several. The rules come in pieces, since the controller
stands still while it reads a pickle. Both ends are the same program of the same user, so pickles are safe here.
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

PIECE = 64  # most elements of a list in one piece
MOST_PIECE = 1 << 13  # bytes of a piece of several elements: some 2 ms to read, if they are networks
FEW = 1 << 10  # bytes up to which a list is sent within the policy
YIELDS = 10  # niceness, so that the controller goes first

CheckedPolicy = tuple[Policy | None, list[Finding]]


def question(text: str, filename: str, site: Site | None) -> bytes:
    """The program's input: one pickle."""
    return _pickled((text, filename, site))


def pieces(checked: CheckedPolicy) -> Iterator[bytes]:
    """The program's output: first a pickle of the policy without its long lists, the findings, and the length of each of
    these lists; then pickles of the lists' pieces."""
    policy, findings = checked
    lists: dict[str, tuple[Any, ...]] = {}
    if policy is not None:
        values = ((one.name, getattr(policy, one.name)) for one in fields(policy))
        lists = {
            name: value for name, value in values if isinstance(value, tuple) and len(_pickled(value)) > FEW
        }
        policy = replace(policy, **_emptied(lists))
    yield _pickled((policy, findings, {name: len(value) for name, value in lists.items()}))
    for value in lists.values():
        yield from _cut(value)


def _cut(value: tuple[Any, ...]) -> Iterator[bytes]:
    at, count = 0, PIECE
    while at < len(value):
        piece = _pickled(value[at : at + count])
        if len(piece) > MOST_PIECE and count > 1:
            count //= 2  # one element may have a thousand networks
            continue
        yield piece
        at += count
        count = min(2 * count, PIECE)


def _pickled(what: object) -> bytes:
    return pickle.dumps(what, pickle.HIGHEST_PROTOCOL)


def _emptied(lists: dict[str, tuple[Any, ...]]) -> dict[str, Any]:
    return dict.fromkeys(lists, ())


def joined(answer: BinaryIO, pause: Callable[[], None]) -> CheckedPolicy:
    """The policy and the findings in the program's output; `pause` is called between pieces. Raises EOFError for output that
    is cut off, and UnpicklingError, TypeError or any other error of pickle for output that is malformed."""
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
    """Read one question, check the policy, write the answer."""
    with suppress(OSError):  # the check goes on where this process may not lower its priority
        os.nice(YIELDS)
    text, filename, site = pickle.load(sys.stdin.buffer)
    for piece in pieces(parse_policy(text, filename, site)):
        sys.stdout.buffer.write(piece)


if __name__ == "__main__":
    main()
