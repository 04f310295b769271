"""Checks a policy while the controller goes on: a small one in a thread, a large one in a process of its own
(policy.policy_process)."""

import logging
import sys
from functools import partial
from io import BytesIO

import eventlet
from eventlet import tpool
from eventlet.green import subprocess

from steering.model.network import Site
from steering.policy import Code, Finding, parse_policy
from steering.policy.policy_process import CheckedPolicy, joined, question

LARGE = 8_192  # characters from which a process checks; starting a process takes 0.3 s
PATIENCE = 120.0  # most seconds that a check may take
# -P: modules in the current directory are not imported
_COMMAND = (sys.executable, "-P", "-m", "steering.policy.policy_process")

log = logging.getLogger(__name__)


class ProcessFailed(Exception):
    """The process ended without a result."""


class TooMuch(Exception):
    """The check takes too long, or the process was killed. The controller must not repeat the check in a thread, because
    a thread cannot be stopped."""


def checked(text: str, filename: str, site: Site | None) -> CheckedPolicy:
    """The result of `parse_policy`, without blocking the hub. Where no process can be started, a thread checks. A policy
    that a process cannot check in time is refused with a finding."""
    if len(text) >= LARGE:
        try:
            return _by_process(tpool.execute(question, text, filename, site))
        except TooMuch as error:
            return None, [Finding(filename, 1, 1, Code.TOO_LARGE, f"it cannot be checked: {error}")]
        except (OSError, ProcessFailed) as error:
            log.warning("a policy is checked in a thread, since a process could not do it: %s", error)
    done: CheckedPolicy = tpool.execute(parse_policy, text, filename, site)
    return done


def _by_process(asked: bytes) -> CheckedPolicy:
    process = subprocess.Popen(_COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        with eventlet.Timeout(PATIENCE, TooMuch(f"it takes longer than {PATIENCE:g} s")):
            answer, _ = process.communicate(asked)
            status = process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
    if status < 0:
        raise TooMuch(f"signal {-status} ended the process that checked it")
    if status:
        raise ProcessFailed(f"it ended with status {status}")
    try:
        return joined(BytesIO(answer), partial(eventlet.sleep, 0))
    except Exception as error:  # unpickling may raise any exception
        raise ProcessFailed(f"its answer is none: {error!r}") from error
