import multiprocessing
import shutil
import sqlite3

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from earshot.clock import SystemClock
from earshot.control import _database as database
from earshot.control import open_control
from earshot.control._schema import metadata
from earshot.errors import ConfigError
from earshot.testing.control import NOON, PASSWORD, SetClock


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/control.db"


def add_rules(url, n):
    with open_control(url, clock=SystemClock()) as control:
        for i in range(5):
            control.add_rule(f"rule {n} {i}", "x", active_from=NOON, actor="ada")


def test_processes_that_open_a_new_file_at_once_all_find_it_whole(url):
    spawn = multiprocessing.get_context("spawn")
    many = [spawn.Process(target=add_rules, args=(url, n)) for n in range(3)]
    for process in many:
        process.start()
    for process in many:
        process.join(60)
    assert [p.exitcode for p in many] == [0, 0, 0]
    with open_control(url, clock=SetClock()) as control:
        assert len(control.rules()) == control.rules_stamp() == 15
        assert len(control.audit_lines()) == 15


def test_the_migrations_make_exactly_the_declared_tables(url, tmp_path):
    open_control(url, clock=SetClock()).close()
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_everything_a_workspace_owns_says_so():
    owned = {"rules", "saved_searches", "communities", "alerts", "audit"}
    assert {t.name for t in metadata.sorted_tables if "workspace_id" in t.c} == owned


def test_a_migration_that_is_cut_leaves_nothing_behind(url, tmp_path, monkeypatch):
    broken = tmp_path / "migrations"
    shutil.copytree(database.MIGRATIONS, broken, ignore=shutil.ignore_patterns("__pycache__"))
    step = broken / "versions" / "m0001_first.py"
    step.write_text(step.read_text().replace("bulk_insert(stamps", "no_such_thing(stamps"))
    monkeypatch.setattr(database, "MIGRATIONS", broken)
    with pytest.raises(AttributeError):
        open_control(url, clock=SetClock())
    monkeypatch.undo()

    left = sqlite3.connect(tmp_path / "control.db")
    assert left.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall() == []
    left.close()
    with open_control(url, clock=SetClock()) as control:
        assert control.rules() == []


def test_a_file_of_a_newer_earshot_is_refused_and_left_alone(url, tmp_path):
    open_control(url, clock=SetClock()).close()
    newer = sqlite3.connect(tmp_path / "control.db")
    newer.execute("UPDATE alembic_version SET version_num = '9999'")
    newer.commit()
    with pytest.raises(ConfigError, match="newer Earshot"):
        open_control(url, clock=SetClock())
    assert newer.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]
    newer.close()


def test_a_place_that_cannot_be_opened_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match=r"file/control\.db"):
        open_control(f"sqlite:///{tmp_path}/file/control.db", clock=SetClock())


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "control.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(ConfigError, match=r"control\.db"):
        open_control(f"sqlite:///{tmp_path}/control.db", clock=SetClock())


def test_no_secret_lies_in_the_file(url, tmp_path):
    with open_control(url, clock=SetClock()) as control:
        code = control.setup_code()
        ada = control.redeem_setup(code, name="Ada", password=PASSWORD)
        session = control.new_session(ada.id, agent="x")
        token = control.new_token(ada.id, name="n", scopes=["posts:read"], expires=None)
        fresh = control.sign_in_code("Ada", actor="Ada")
    data = b"".join(p.read_bytes() for p in tmp_path.glob("control.db*"))
    secrets = [code, session, token.split("_", 2)[2], fresh, PASSWORD]
    assert [s for s in secrets if s.encode() in data] == []
    assert b"$argon2id$" in data
