"""What every control room must keep, as tests; shipped, so that plug-ins can run them too.

A subclass gives the fixture `open_it`: a function that opens the same room anew, with the clock as
its one argument.
"""

import datetime as dt
from collections.abc import Callable, Iterator

import pytest

from earshot.clock import Clock
from earshot.control import MIN_PASSWORD, SESSION_DAYS, Control
from earshot.errors import ConflictError, NotFoundError, UsageError

NOON = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
PASSWORD = "a sentence of mine"  # noqa: S105 - of nobody
OpenIt = Callable[[Clock], Control]


class SetClock:
    """A clock that is told the time."""

    def __init__(self, now: dt.datetime = NOON) -> None:
        self._now, self._passed = now, 0.0

    def now(self) -> dt.datetime:
        """See `Clock.now`."""
        return self._now

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self._passed

    def pass_(self, seconds: float = 0.0, **span: float) -> None:
        """Let time go by: seconds, or the arguments of a timedelta."""
        gone = dt.timedelta(seconds=seconds, **span)
        self._now, self._passed = self._now + gone, self._passed + gone.total_seconds()


class ControlContract:
    """The meaning of `Control`."""

    @pytest.fixture
    def clock(self) -> SetClock:
        """The room's clock."""
        return SetClock()

    @pytest.fixture
    def control(self, open_it: OpenIt, clock: SetClock) -> Iterator[Control]:
        """An empty room."""
        with open_it(clock) as opened:
            yield opened

    # -- rules -----------------------------------------------------------------------------
    def test_a_rule_has_a_version_and_a_workspace_from_the_start(self, control: Control) -> None:
        """Also: ids start at 1."""
        made = control.add_rule("bikes", "bicycle", active_from=NOON, actor="ada")
        assert (made.rule, made.version, made.workspace) == (1, 1, 1)
        assert control.rules() == [made] == control.rule_versions() == control.rule_versions(1)

    def test_an_edit_ends_the_old_version_where_the_new_begins(self, control: Control) -> None:
        """So that exactly one version acts on each record."""
        control.add_rule("bikes", "bicycle", active_from=NOON, actor="ada")
        later = NOON + dt.timedelta(seconds=9)
        made = control.edit_rule(1, name=None, text="bike", active_from=later, actor="ada")
        old, new = control.rule_versions(1)
        assert (old.text, old.active_until) == ("bicycle", later)
        assert new == made
        assert (new.name, new.text, new.version, new.active_until) == ("bikes", "bike", 2, None)
        assert control.rules() == [new]

    def test_versions_never_overlap_whatever_the_clock_says(self, control: Control) -> None:
        """A version that would begin before its forerunner begins with it."""
        control.add_rule("bikes", "bicycle", active_from=NOON, actor="ada")
        early = NOON - dt.timedelta(minutes=1)
        control.edit_rule(1, name=None, text="bike", active_from=early, actor="ada")
        old, new = control.rule_versions(1)
        assert old.active_until == new.active_from == NOON

    def test_an_edit_of_what_was_seen_before_is_refused(self, control: Control) -> None:
        """Nobody overwrites what they have not seen."""
        control.add_rule("bikes", "bicycle", active_from=NOON, actor="ada")
        control.edit_rule(1, name=None, text="b", active_from=NOON, actor="bob", if_version=1)
        with pytest.raises(ConflictError):
            control.edit_rule(1, name=None, text="c", active_from=NOON, actor="ada", if_version=1)
        assert [v.text for v in control.rule_versions(1)] == ["bicycle", "b"]

    def test_a_deleted_rule_keeps_its_versions_and_frees_its_name(self, control: Control) -> None:
        """And its id is never given again."""
        control.add_rule("bikes", "bicycle", active_from=NOON, actor="ada")
        until = NOON + dt.timedelta(hours=1)
        control.delete_rule(1, active_until=until, actor="ada")
        assert control.rules() == []
        assert control.rule_versions(1)[0].active_until == until
        assert control.add_rule("bikes", "x", active_from=NOON, actor="ada").rule == 2
        with pytest.raises(NotFoundError):
            control.delete_rule(1, active_until=until, actor="ada")
        with pytest.raises(NotFoundError):
            control.edit_rule(1, name=None, text="x", active_from=NOON, actor="ada")

    def test_a_name_is_one_rules_only(self, control: Control) -> None:
        """By adding and by renaming; what was refused left no trace."""
        control.add_rule("a", "x", active_from=NOON, actor="ada")
        control.add_rule("b", "x", active_from=NOON, actor="ada")
        stamp, lines = control.rules_stamp(), len(control.audit_lines())
        with pytest.raises(ConflictError):
            control.add_rule("a", "y", active_from=NOON, actor="ada")
        with pytest.raises(ConflictError):
            control.edit_rule(2, name="a", text=None, active_from=NOON, actor="ada")
        assert [r.name for r in control.rules()] == ["a", "b"]
        assert (control.rules_stamp(), len(control.audit_lines())) == (stamp, lines)

    def test_many_rules_are_made_at_once(self, control: Control) -> None:
        """Each as if it had been added alone, in the order in which they were given."""
        first = control.add_rule("z", "x", active_from=NOON, actor="ada")
        stamp = control.rules_stamp()
        texts = {f"rule {n}": f"word{n}" for n in range(1500, 0, -1)}
        made = control.add_rules(texts, active_from=NOON, actor="ada")
        assert [(v.rule, v.version, v.workspace) for v in made] == [
            (first.rule + n, 1, 1) for n in range(1, 1501)
        ]
        assert {v.name: v.text for v in made} == texts
        assert control.rule_versions() == [first, *made]
        assert control.rules_stamp() > stamp
        lines = control.audit_lines(limit=1500, action="rule.add")
        assert [line["detail"] for line in reversed(lines)] == [
            f"{name}: {text}" for name, text in texts.items()
        ]
        assert control.add_rules({}, active_from=NOON, actor="ada") == []

    def test_of_many_rules_all_are_made_or_none(self, control: Control) -> None:
        """Wherever among them the name is that is taken; other workspaces have their own names."""
        control.add_rule("a", "x", active_from=NOON, actor="ada")
        stamp, lines = control.rules_stamp(), len(control.audit_lines(limit=2000))
        texts = {f"rule {n}": "x" for n in range(1000)} | {"a": "y"}
        with pytest.raises(ConflictError, match="'a'"):
            control.add_rules(texts, active_from=NOON, actor="ada")
        assert [r.name for r in control.rules()] == ["a"]
        assert (control.rules_stamp(), len(control.audit_lines(limit=2000))) == (stamp, lines)

    def test_the_stamp_grows_with_every_change_and_others_see_it(
        self, control: Control, open_it: OpenIt, clock: SetClock
    ) -> None:
        """What the engine polls."""
        with open_it(clock) as engine:
            stamps = [engine.rules_stamp()]
            control.add_rule("a", "x", active_from=NOON, actor="ada")
            stamps.append(engine.rules_stamp())
            control.edit_rule(1, name="b", text=None, active_from=NOON, actor="ada")
            stamps.append(engine.rules_stamp())
            control.delete_rule(1, active_until=NOON, actor="ada")
            stamps.append(engine.rules_stamp())
        assert stamps == sorted(set(stamps))

    # -- people ----------------------------------------------------------------------------
    def test_the_setup_code_makes_one_administrator_once(self, control: Control) -> None:
        """And there is no other way in."""
        assert control.people() == []
        code = control.setup_code()
        assert code is not None
        assert control.code_is_for(code) == ""
        ada = control.redeem_setup(code, name="Ada", password=PASSWORD)
        assert (ada.role, control.people(), control.setup_code()) == ("admin", [ada], None)
        assert control.code_is_for(code) is None
        with pytest.raises(UsageError):
            control.redeem_setup(code, name="Eve", password=None)

    def test_a_newer_setup_code_replaces_the_older(self, control: Control) -> None:
        """The last printed link is the one that works."""
        first, second = control.setup_code(), control.setup_code()
        assert first is not None
        assert second is not None
        with pytest.raises(UsageError):
            control.redeem_setup(first, name="Ada", password=None)
        assert control.redeem_setup(second, name="Ada", password=None).name == "Ada"

    def test_a_setup_code_grows_old(self, control: Control, clock: SetClock) -> None:
        """A day, then it is dead."""
        code = control.setup_code()
        clock.pass_(hours=25)
        assert code
        assert control.code_is_for(code) is None
        with pytest.raises(UsageError):
            control.redeem_setup(code, name="Ada", password=None)

    def test_a_refused_try_does_not_use_the_code_up(self, control: Control) -> None:
        """A password that is too short can be mended."""
        code = control.setup_code()
        assert code
        with pytest.raises(UsageError):
            control.redeem_setup(code, name="Ada", password="x" * (MIN_PASSWORD - 1))
        with pytest.raises(UsageError):
            control.redeem_setup(code, name=" ", password=None)
        assert control.redeem_setup(code, name="Ada", password=PASSWORD)

    def test_only_the_right_password_signs_in(self, control: Control) -> None:
        """Names are compared as people read them."""
        bob = control.add_person("Bob", role="editor", password=PASSWORD, actor="ada")
        control.add_person("Cy", role="viewer", password=None, actor="ada")
        assert control.sign_in(" bob ", PASSWORD) == bob
        assert control.sign_in("Bob", PASSWORD + "!") is None
        assert control.sign_in("Cy", "") is None
        assert control.sign_in("nobody", PASSWORD) is None

    def test_two_people_never_have_the_same_name(self, control: Control) -> None:
        """Nor names that look the same."""
        control.add_person("Bob", role="editor", password=None, actor="ada")
        with pytest.raises(ConflictError):
            control.add_person("ＢＯＢ", role="viewer", password=None, actor="ada")  # noqa: RUF001 - that is the point
        with pytest.raises(UsageError):
            control.add_person("Eve", role="king", password=None, actor="ada")

    def test_a_sign_in_code_lets_its_person_in_once(self, control: Control) -> None:
        """And may set a password."""
        bob = control.add_person("Bob", role="editor", password=None, actor="ada")
        code = control.sign_in_code("bob", actor="ada")
        assert control.code_is_for(code) == "Bob"
        assert control.redeem_setup(code, name="Eve", password=PASSWORD) == bob
        assert control.sign_in("Bob", PASSWORD) == bob
        with pytest.raises(UsageError):
            control.redeem_setup(code, name="", password=None)
        with pytest.raises(NotFoundError):
            control.sign_in_code("nobody", actor="ada")

    # -- sessions and tokens ---------------------------------------------------------------
    def test_a_session_lasts_until_it_is_ended_or_old(
        self, control: Control, clock: SetClock
    ) -> None:
        """And each is its own."""
        bob = control.add_person("Bob", role="editor", password=None, actor="ada")
        one, two, three = (control.new_session(bob.id, agent="x") for _ in range(3))
        assert control.session(one) == control.session(two) == bob
        control.end_session(one)
        assert (control.session(one), control.session(two)) == (None, bob)
        (own,) = [s for s in control.sessions(bob.id, current=two) if s["current"]]
        control.revoke_session(int(str(own["id"])), actor="ada")
        assert (control.session(two), control.session(three)) == (None, bob)
        clock.pass_(days=SESSION_DAYS)
        assert control.session(three) is None
        with pytest.raises(NotFoundError):
            control.revoke_session(99, actor="ada")

    def test_a_token_works_with_its_whole_text_only(
        self, control: Control, clock: SetClock
    ) -> None:
        """Until it expires or is revoked; last use is noted."""
        bob = control.add_person("Bob", role="editor", password=None, actor="ada")
        soon = NOON + dt.timedelta(hours=1)
        text = control.new_token(bob.id, name="n", scopes=["posts:read"], expires=soon)
        assert text.startswith("esh_1_")
        assert control.tokens(bob.id)[0]["last_used"] is None
        assert control.token(text) == (bob, frozenset({"posts:read"}))
        assert control.tokens(bob.id)[0]["last_used"] == NOON
        for bad in ("", "esh", "esh_1_", text[:-1], text + "x", text.replace("_1_", "_2_", 1)):
            assert control.token(bad) is None
        other = control.new_token(bob.id, name="o", scopes=["posts:read"], expires=None)
        clock.pass_(hours=1)
        assert control.token(text) is None
        assert control.token(other) is not None
        control.revoke_token(2, actor="ada")
        assert control.token(other) is None
        with pytest.raises(NotFoundError):
            control.revoke_token(2, actor="ada")

    # -- audit -----------------------------------------------------------------------------
    def test_every_change_leaves_a_line_without_a_secret(self, control: Control) -> None:
        """Newest first, by page, by action."""
        code = control.setup_code() or ""
        ada = control.redeem_setup(code, name="Ada", password=PASSWORD)
        secret = control.new_session(ada.id, agent="x")
        token = control.new_token(ada.id, name="n", scopes=["posts:read"], expires=None)
        control.add_rule("a", "x", active_from=NOON, actor="Ada")
        control.audit("Ada", "post.delete", "x/1")
        lines = control.audit_lines()
        assert [line["action"] for line in lines] == [
            "post.delete", "rule.add", "token.add", "session.open", "setup",
        ]  # fmt: skip
        assert all(line["actor"] == "Ada" and line["at"] == NOON for line in lines)
        said = repr(lines)
        assert not any(s in said for s in (code, secret, token.split("_")[2], PASSWORD))
        newest = int(str(lines[0]["id"]))
        assert control.audit_lines(before=newest, limit=2) == lines[1:3]
        assert [x["action"] for x in control.audit_lines(action="setup")] == ["setup"]
