"""The rules as the engine holds them: compiled aside when they change, swapped between batches."""

import datetime as dt
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from earshot.control import Control
from earshot.errors import RuleSyntaxError
from earshot.model.rule import RuleVersion
from earshot.rules import CompiledRules, compile_rules, parse

say = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Aside:
    """Rules that are being compiled."""

    versions: frozenset[RuleVersion]
    compiled: Future[CompiledRules]
    acts_from: dt.datetime | None
    """The first moment at which they and the rules in use differ."""


class Rulebook:
    """Follows the stored rules, so that which of them a record meets depends on its time alone.

    `ready` waits for a compile whose rules act on the records in hand, and never for any other.
    """

    def __init__(self, control: Control) -> None:
        self._control = control
        self._pool = ThreadPoolExecutor(1, "rules")
        self._aside: _Aside | None = None
        self._stamp = control.rules_stamp()  # before the versions: a change in between is seen
        self._versions = frozenset(control.rule_versions())
        self._compiled = _compile(self._versions)

    @property
    def current(self) -> CompiledRules:
        """The newest rules that are compiled."""
        if self._aside is not None and self._aside.compiled.done():
            self._swap()
        return self._compiled

    def ready(self, newest: dt.datetime) -> CompiledRules:
        """The rules for records taken in up to `newest`."""
        aside = self._aside
        if aside is not None and aside.acts_from is not None and aside.acts_from <= newest:
            self._swap()
        return self.current

    def look(self) -> None:
        """Start a recompile if the rules changed since the last look."""
        if self._aside is not None or (stamp := self._control.rules_stamp()) == self._stamp:
            return
        versions = frozenset(self._control.rule_versions())
        self._stamp = stamp
        self._aside = _Aside(
            versions,
            self._pool.submit(_compile, versions),
            min(_turns(self._versions, versions), default=None),
        )

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown(cancel_futures=True)

    def _swap(self) -> None:
        aside, self._aside = self._aside, None
        if aside is not None:
            self._compiled, self._versions = aside.compiled.result(), aside.versions


def _turns(before: frozenset[RuleVersion], after: frozenset[RuleVersion]) -> Iterator[dt.datetime]:
    """The moments from which each version that is new, gone or ended otherwise acts otherwise."""
    old = {(v.rule, v.version): v for v in before - after}
    new = {(v.rule, v.version): v for v in after - before}
    for key in old.keys() | new.keys():
        both = [v for v in (old.get(key), new.get(key)) if v is not None]
        if len(both) == 1:
            yield both[0].active_from
        else:
            yield from (v.active_until for v in both if v.active_until is not None)


def _compile(versions: Iterable[RuleVersion]) -> CompiledRules:
    """Compile what can be read; a rule from a newer Earshot must not stop the others."""
    good: list[RuleVersion] = []
    for version in sorted(versions, key=lambda v: (v.rule, v.version)):
        try:
            parse(version.text)
        except RuleSyntaxError as e:
            say.warning("rule skipped", rule=version.name, version=version.version, why=str(e))
        else:
            good.append(version)
    return compile_rules(good)
