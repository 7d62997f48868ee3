import fcntl

import pytest
from tests.engine.homes import SYSTEM, settings_in

from earshot.engine.home import engine_lock, engine_runs, open_rooms, prepare, up_lock
from earshot.errors import ConfigError, ConflictError


def test_there_is_one_engine_at_a_time_and_the_second_says_who_is_first(tmp_path):
    settings = settings_in(tmp_path)
    with engine_lock(settings):
        assert engine_runs(settings)
        with (
            pytest.raises(ConflictError, match=r"runs already \(process \d+\)"),
            engine_lock(settings),
        ):
            pass
    assert not engine_runs(settings)


def test_who_only_looks_does_not_disturb_others_who_look(tmp_path):
    settings = settings_in(tmp_path)
    prepare(settings)
    with (tmp_path / "home" / "run" / "engine.lock").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # somebody else who just looks
        assert not engine_runs(settings)


def test_one_earshot_serves_a_home(tmp_path):
    settings = settings_in(tmp_path)
    with (
        up_lock(settings),
        pytest.raises(ConflictError, match="Earshot runs already") as caught,
        up_lock(settings),
    ):
        pass
    assert "--home" in caught.value.hint


def test_the_lock_goes_with_the_engine_whatever_ends_it(tmp_path):
    settings = settings_in(tmp_path)
    with pytest.raises(ZeroDivisionError), engine_lock(settings):
        raise ZeroDivisionError
    with engine_lock(settings):
        pass


def test_a_home_that_cannot_be_written_is_named_with_a_remedy(tmp_path):
    (tmp_path / "home").write_text("a file")
    with pytest.raises(ConfigError, match="home") as caught:
        prepare(settings_in(tmp_path))
    assert "--home" in caught.value.hint


def test_only_the_engine_writes_the_store(tmp_path):
    settings = settings_in(tmp_path)
    with (
        open_rooms(settings, SYSTEM, writable=False) as rooms,
        pytest.raises(ConflictError, match="read only"),
    ):
        rooms.store.note("a", "b")
