"""The rules as the engine holds them: recompiled aside when they change, swapped between batches."""

from concurrent.futures import Future, ThreadPoolExecutor

import structlog

from earshot.control import Control
from earshot.errors import RuleSyntaxError
from earshot.model.rule import RuleVersion
from earshot.rules import CompiledRules, compile_rules, parse

say = structlog.get_logger(__name__)


class Rulebook:
    """Follows `Control.rules_stamp`; `current` never blocks once the first compile is done."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._stamp = -1
        self._aside = ThreadPoolExecutor(1, "rules")
        self._pending: Future[CompiledRules] | None = None
        self._compiled = self._compile(control.rule_versions())
        self._stamp = control.rules_stamp()

    @property
    def current(self) -> CompiledRules:
        """The rules to match the next batch with."""
        if self._pending is not None and self._pending.done():
            self._compiled, self._pending = self._pending.result(), None
        return self._compiled

    def look(self) -> None:
        """Start a recompile if the rules changed since the last look."""
        if self._pending is not None or (stamp := self._control.rules_stamp()) == self._stamp:
            return
        self._stamp = stamp
        self._pending = self._aside.submit(self._compile, self._control.rule_versions())

    def refresh(self) -> None:
        """Recompile now, if the rules changed, and wait for it."""
        self.look()
        if self._pending is not None:
            self._pending.result()

    def close(self) -> None:
        """End the thread."""
        self._aside.shutdown(cancel_futures=True)

    @staticmethod
    def _compile(versions: list[RuleVersion]) -> CompiledRules:
        """Compile what can be read; a rule from a newer Earshot must not stop the others."""
        good: list[RuleVersion] = []
        for version in versions:
            try:
                parse(version.text)
            except RuleSyntaxError as e:
                say.warning("rule skipped", rule=version.name, version=version.version, why=str(e))
            else:
                good.append(version)
        return compile_rules(good)
