import datetime as dt
import threading

import pytest
from tests.engine.homes import NOON, HandClock

from earshot.control import open_control
from earshot.engine import rulebook
from earshot.engine.rulebook import Rulebook

SOON = NOON + dt.timedelta(seconds=2)


@pytest.fixture
def control(tmp_path):
    with open_control(f"sqlite:///{tmp_path}/control.db", clock=HandClock()) as control:
        yield control


@pytest.fixture
def book(control):
    book = Rulebook(control)
    yield book
    book.close()


@pytest.fixture
def held(monkeypatch):
    """Compiling waits until this is set."""
    gate, real = threading.Event(), rulebook._compile

    def slowly(versions):
        gate.wait(10)
        return real(versions)

    monkeypatch.setattr(rulebook, "_compile", slowly)
    return gate


def rules_in(compiled):
    return set(zip(compiled.rule.tolist(), compiled.version.tolist(), strict=True))


def test_records_before_a_change_acts_are_not_kept_waiting_for_its_compile(control, book, held):
    control.add_rule("a", "cats", active_from=SOON, actor="t")
    book.look()
    assert rules_in(book.ready(NOON)) == set()
    held.set()


def test_records_on_which_a_change_acts_wait_for_its_compile(control, book, held):
    control.add_rule("a", "cats", active_from=SOON, actor="t")
    book.look()
    threading.Timer(0.05, held.set).start()
    assert rules_in(book.ready(SOON)) == {(1, 1)}


def test_an_edit_acts_where_the_old_version_ends_and_both_are_there(control, book, held):
    held.set()
    control.add_rule("a", "cats", active_from=NOON, actor="t")
    book.look()
    assert rules_in(book.ready(NOON)) == {(1, 1)}
    held.clear()
    control.edit_rule(1, name=None, text="dogs", active_from=SOON, actor="t")
    book.look()
    assert rules_in(book.ready(NOON)) == {(1, 1)}  # and did not wait
    held.set()
    assert rules_in(book.ready(SOON)) == {(1, 1), (1, 2)}


def test_a_removal_acts_as_well(control, book, held):
    held.set()
    control.add_rule("a", "cats", active_from=NOON, actor="t")
    book.look()
    book.ready(NOON)
    control.delete_rule(1, active_until=SOON, actor="t")
    book.look()
    assert list(book.ready(SOON).active_until) == [1767268802000000]


def test_a_rule_that_cannot_be_read_stops_no_other(control):
    control.add_rule("bad", "(", active_from=NOON, actor="t")
    control.add_rule("good", "cats", active_from=NOON, actor="t")
    book = Rulebook(control)
    assert rules_in(book.current) == {(2, 1)}
    book.close()
