"""The operator's orders to a running controller (model.control.Control): policy, drain, aborts, questions.

A policy comes by REST, by SIGHUP, or by a change of its file. All three go the same way: the policy is checked
as a whole, kept as a version, and given to the engine as one input. Checking may take seconds for the largest file, so
another thread or process checks (policy_check), and a thread writes the version. Neither touches the engine.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any

from eventlet import tpool
from os_ken.lib import hub

from steering.core.counters import Counters
from steering.core.engine import Engine
from steering.core.inputs import Input, PolicyReplaced, TimeOfDay
from steering.core.snapshots.site import site
from steering.core.snapshots.view import EngineView
from steering.core.snapshots.whatif import whatif
from steering.model.control import (
    Condition,
    Json,
    McpOutcome,
    PolicyConsensus,
    PolicyDisagreement,
    PolicyOutcome,
    PolicyText,
    PolicyWish,
    WhatIf,
    no_condition,
)
from steering.model.network import Site
from steering.model.policy import Policy
from steering.model.session_snapshot import DecisionSnapshot
from steering.model.standing_work import StandingWork
from steering.model.week import minute_of_week
from steering.northbound.auth.pseudonyms import of_limits
from steering.northbound.schema.representation import as_json
from steering.policy import Finding
from steering.policy.checks.unenforced_rules import unenforced
from steering.policy.language.document import load_text
from steering.runtime.orders.policy_check import checked
from steering.runtime.orders.registrar import Registrar
from steering.store.credentials import pseudonym_key
from steering.store.interface import StateError, Store
from steering.store.policy_history import History, HistoryError
from steering.store.state_directory import StateDirectory

NO_POLICY = PolicyText(0, "policy: 1\n")
LOOK = 0.25  # seconds between checks of the policy file, so a change acts within a second
LOOKS = 4  # the clock and the limits are checked once in so many checks of the file

log = logging.getLogger(__name__)


class Operator:
    """Carries out the operator's orders. `connect` says how inputs reach the engine."""

    def __init__(
        self,
        engine: Engine,
        counters: Counters,
        registrar: Registrar,
        view: EngineView,
        state_dir: Path,
        now: Callable[[], float],
        text: PolicyText = NO_POLICY,
        shared: Store | None = None,
        agreed: PolicyConsensus | None = None,
    ) -> None:
        """`text`: the policy that the engine began with. `shared`: the store in which several controllers keep the
        policy's versions. `agreed`: brings another policy into force at all of these controllers."""
        self._engine = engine
        self._counters = counters
        self._registrar = registrar
        self._view = view
        self._history = History(shared or StateDirectory(state_dir, synced=True))
        self._agreed = agreed
        self._putting = Lock()
        self._now = now
        self._feed: Callable[[Input], None] | None = None
        self._at_once: Callable[[Input], None] | None = None
        self._text = text
        self._pseudonyms = pseudonym_key(state_dir)
        self._fulls = 0
        self._offset = 0  # seconds that are added to the clock, for rules that depend on the time

    def connect(self, feed: Callable[[Input], None], at_once: Callable[[Input], None]) -> None:
        """Give inputs to the engine with `feed` from now on, or with `at_once` where the result is wanted at once."""
        self._feed, self._at_once = feed, at_once

    # ---- Control -------------------------------------------------------------------------------

    def give(self, given: Any) -> None:
        if self._feed is not None:
            self._feed(given)

    def take(self, given: Any) -> None:
        if self._at_once is not None:
            self._at_once(given)

    def policy(self) -> PolicyText:
        return self._text

    def replace_policy(
        self, text: str, who: str, dry_run: bool, unchanged: Condition = no_condition
    ) -> PolicyOutcome:
        began = self._now()
        policy, findings = checked(text, "policy", site(self._engine))
        said = [_json(finding) for finding in findings]
        if policy is None or findings:
            return PolicyOutcome(self._text.version, said, False)
        if dry_run:
            return PolicyOutcome(self._text.version, said, True)
        return self._put(PolicyWish(policy, text, who, "", self._now() - began), unchanged)

    def _put(self, wish: PolicyWish, unchanged: Condition = no_condition) -> PolicyOutcome:
        """Raises PolicyDisagreement and StateError, where several controllers have one policy."""
        with self._putting:  # one after the other, because versions are numbered
            if self._agreed is not None:
                version = self._agreed.put(wish, unchanged)
            else:
                unchanged()
                # Writing waits for the disk, so a thread does it.
                otherwise = self._text.version + 1
                version = tpool.execute(
                    keep_version, self._history, wish.text, wish.who, wish.comment, otherwise
                )
                self.activate(wish.policy, version, wish.text)
        log.info("policy version %d is in force, by %s", version, wish.who)
        return PolicyOutcome(version, [], True)

    # ---- PolicyTaker ---------------------------------------------------------------------------

    def check_policy(self, text: str) -> tuple[Policy | None, str]:
        policy, findings = checked(text, "policy", site(self._engine))
        return (policy, "") if policy is not None and not findings else (None, str(findings[0]))

    def activate(self, policy: Policy, version: int, text: str) -> None:
        policy = replace(policy, version=version)
        self._text = PolicyText(version, text)
        self.give(PolicyReplaced(policy))
        for note in unenforced(policy, site(self._engine)):
            log.warning("policy: %s", note)

    def policy_versions(self) -> list[Json]:
        return [
            {
                "version": version.version,
                "time": datetime.fromtimestamp(version.when).astimezone().isoformat(timespec="seconds"),
                "who": version.who,
                "digest": version.sha256,
                "comment": version.comment,
            }
            for version in reversed(self._history.versions())
        ]

    def policy_version(self, version: int) -> PolicyText | None:
        try:
            return PolicyText(version, self._history.read(version).text)
        except HistoryError:
            return None

    def rollback_policy(
        self, version: int, who: str, unchanged: Condition = no_condition
    ) -> PolicyOutcome | None:
        try:
            text = self._history.read(version).text
        except HistoryError:
            return None
        began = self._now()
        policy, findings = checked(text, "policy", site(self._engine))
        if policy is None or findings:
            return PolicyOutcome(self._text.version, [_json(finding) for finding in findings], False)
        comment = f"rolled back to version {version}"
        return self._put(PolicyWish(policy, text, who, comment, self._now() - began), unchanged)

    def mcp(self, name: str) -> Json | None:
        return self._registrar.mcp(name)

    def put_mcp(self, text: str, name: str | None) -> McpOutcome:
        return self._registrar.put(text, name, self._text.text, self.take)

    def remove_mcp(self, name: str, force: bool) -> McpOutcome:
        return self._registrar.remove(name, force, self._text.text, self.take)

    def whatif(self, question: WhatIf) -> DecisionSnapshot:
        return whatif(self._engine, question, self._now())

    # ---- the clock and the file ----------------------------------------------------------------

    def tell_time(self) -> None:
        """Tell the engine the local minute: rush hours begin and end by it (D-3.2c). The engine takes the minute at once. In the
        queue it could be handled after a new offset of the clock, which would count only from the next call on."""
        self.take(self._time())

    def _time(self) -> TimeOfDay:
        return TimeOfDay(minute_of_week(datetime.now() + timedelta(seconds=self._offset)))

    def clock_offset(self) -> int:
        return self._offset

    def set_clock_offset(self, seconds: int) -> None:
        self._offset = seconds
        log.info("the clock of rules is %d s ahead of this machine's", seconds)
        self.take(self._time())

    def reload(self, path: str) -> bool:
        """Read the policy file again. A file with findings is logged, and changes nothing. Returns whether to try again:
        other controllers were not ready for the policy in time, and none refused it."""
        began = self._now()
        policy, text, findings = _read(path, site(self._engine))
        for finding in findings:
            log.error("the policy stays as it is: %s", finding)
        if policy is not None and not findings:
            try:
                self._put(PolicyWish(policy, text, "file", "", self._now() - began))
            except PolicyDisagreement as why:
                log.error("%s", why)
                return not why.refused
            except StateError as error:
                log.error("the policy stays as it is: %s", error)
        return False

    def tell_limits(self) -> None:
        """Log the limits that were reached since the last call. One call each second bounds the log."""
        refused = sum(self._counters.fulls.values())
        if refused != self._fulls:
            last = of_limits(self._pseudonyms, as_json(self._view.limits()))["last_full"]
            log.info(
                "a limit was reached: %s %s: %d by %s", *(last[k] for k in ("kind", "name", "most", "source"))
            )
        self._fulls = refused

    def watch(self, path: str | None, changed: Callable[[], bool]) -> None:
        """Runs for ever: tells the time once a second, and reads the file when `changed` returns True. Checking the file
        may take minutes; the time is told meanwhile."""
        reading = None if path is None else hub.spawn(self._follow, path, changed)
        try:
            while True:
                for tell in (self.tell_time, self.tell_limits):
                    with self._counters.work_faults.turn(StandingWork.TELLING_TIME):
                        tell()
                hub.sleep(LOOKS * LOOK)
        finally:
            if reading is not None:
                hub.kill(reading)

    def _follow(self, path: str, changed: Callable[[], bool]) -> None:
        """Read the file whenever it changed. No contents of the file end this loop. A reading that is tried again is
        dropped where another policy came into force meanwhile."""
        again, version = False, 0
        while True:
            with self._counters.work_faults.turn(StandingWork.POLICY_FILE):
                if changed() or (again and version == self._text.version):
                    version, again = self._text.version, False
                    again = self.reload(path)
            hub.sleep(LOOK)


def keep_version(history: History, text: str, who: str, comment: str, otherwise: int) -> int:
    """Keep a policy that comes into force. Returns the number of its version, or `otherwise` where it cannot be kept."""
    try:
        return history.apply(text, who, time.time(), comment).version
    except HistoryError as error:
        log.warning("the policy's version is not kept: %s", error)
        return otherwise


def _read(path: str, site: Site) -> tuple[Policy | None, str, list[Finding]]:
    """Read and check a policy file as `steering check` does: (policy or None, text, findings)."""
    text, findings = tpool.execute(load_text, path)
    if text is None:
        return None, "", findings
    policy, findings = checked(text, path, site)
    return policy, text, findings


def _json(finding: Finding) -> Json:
    return {
        "path": finding.file,
        "line": finding.line,
        "column": finding.column,
        "code": finding.code.value,
        "message": finding.message,
        "suggestion": finding.suggestion,
    }


class FileWatch:
    """Tells whether a file was changed, or a signal asked for it to be read again. A change counts only when two checks in
    a row find the same file: a file that is half written may be a valid policy too."""

    def __init__(self, path: str | None, by_time: bool) -> None:
        self._path = path
        self._by_time = by_time
        self._asked = False
        self._taken = self._seen = self._stamp()

    def ask(self) -> None:
        """SIGHUP came: the file is to be read again."""
        self._asked = True

    def changed(self) -> bool:
        stamp, asked = self._stamp(), self._asked
        self._asked = False
        moved = self._by_time and stamp is not None and stamp != self._taken and stamp == self._seen
        self._seen = stamp
        if asked or moved:
            self._taken = stamp
        return asked or moved

    def _stamp(self) -> tuple[int, int, int] | None:
        if self._path is None:
            return None
        try:
            status = Path(self._path).stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino
