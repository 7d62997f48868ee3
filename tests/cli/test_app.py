import os
import subprocess
import sys

import pytest
import typer

from earshot import __version__
from earshot.cli.app import COMMANDS, RULES, app


def real(group, name):
    context = group.make_context("earshot", [], resilient_parsing=True)
    return group.resolve_command(context, [name])[1]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_of_a_command_what_the_command_says(name):
    command = real(typer.main.get_command(app), name)
    first = " ".join(command.help.split("\n\n")[0].split())
    assert first == COMMANDS[name].help
    assert command.hidden == COMMANDS[name].hidden


@pytest.mark.parametrize("name", RULES)
def test_so_does_the_list_of_what_can_be_done_with_rules(name):
    group = real(typer.main.get_command(app), "rules")
    command = real(group, name)
    assert " ".join(command.help.split("\n\n")[0].split()) == RULES[name].help


def test_no_command_is_missing_in_the_list(earshot):
    for name in COMMANDS:
        real(typer.main.get_command(app), name)
    assert set(typer.main.get_command(app).commands) == set(COMMANDS)


def test_help_imports_no_library_that_a_command_needs():
    """The list is shown in the blink of an eye."""
    code = (
        "import sys; sys.argv=['earshot','--help']\n"
        "from earshot.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*{m.partition('.')[0] for m in sys.modules}, file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"polars", "numpy", "numba", "fastapi", "duckdb", "sqlalchemy", "pydantic", "uvicorn"}
    assert not heavy & set(ended.stderr.split())
    assert "counts" in ended.stdout


@pytest.mark.parametrize(
    ("command", "spared"),
    [
        (["rules", "list"], {"numba", "fastapi", "duckdb", "uvicorn"}),
        (["counts"], {"fastapi", "duckdb", "uvicorn", "websockets"}),
        (["search", "cats"], {"fastapi", "duckdb", "uvicorn", "websockets"}),
    ],
)
def test_a_quick_question_imports_only_what_it_needs(tmp_path, command, spared):
    code = (
        f"import sys; sys.argv={['earshot', '--home', str(tmp_path), *command, '--json']}\n"
        "from earshot.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*{m.partition('.')[0] for m in sys.modules}, file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not spared & set(ended.stderr.split())


def test_help_version_and_the_name_of_a_home(earshot):
    assert earshot("--version").out == f"earshot {__version__}\n"
    shown = earshot("--help")
    assert shown.code == 0
    assert all(name in shown.out for name, one in COMMANDS.items() if not one.hidden)
    assert "engine" not in shown.out.split()


# -- errors --------------------------------------------------------------------------------
def test_an_unknown_command_is_wrong_use_and_the_nearest_is_named(earshot):
    ended = earshot("serch", "x")
    assert ended.code == 2
    assert "Did you mean" in ended.err
    assert "'search'" in ended.err


def test_a_setting_that_cannot_be_is_named(earshot, monkeypatch):
    monkeypatch.setenv("EARSHOT_KEEP__DAYS", "-1")
    ended = earshot("counts")
    assert ended.code == 2
    assert "keep.days" in ended.err
    assert "hint:" in ended.err
    assert "Traceback" not in ended.err


def test_an_unknown_setting_in_the_file_is_named(earshot, home):
    home.mkdir()
    (home / "earshot.toml").write_text("[keep]\ndayz = 3\n")
    ended = earshot("counts")
    assert (ended.code, "keep.dayz" in ended.err) == (2, True)


def test_a_file_that_is_no_toml_is_named(earshot, home):
    home.mkdir()
    (home / "earshot.toml").write_text("keep = [")
    ended = earshot("counts")
    assert (ended.code, "earshot.toml cannot be read" in ended.err) == (2, True)


def test_an_unknown_store_is_one_line_and_a_hint(earshot, monkeypatch):
    monkeypatch.setenv("EARSHOT_STORE", "sqlit:///x.db")
    ended = earshot("counts")
    assert ended.code == 2
    assert ended.err.splitlines() == [
        "error: store: nothing handles 'sqlit:' (known: sqlite)",
        "hint:  did you mean 'sqlite:'?",
    ]


def test_a_home_that_cannot_be_is_named(earshot, home):
    home.write_text("a file")
    ended = earshot("--home", home / "below", "counts")
    assert ended.code == 2
    assert "--home" in ended.err


def test_a_damaged_store_is_named_and_no_wrong_use(earshot, home):
    (home / "data").mkdir(parents=True)
    (home / "data" / "store.db").write_bytes(b"no database " * 1000)
    ended = earshot("counts")
    assert ended.code == 1
    assert "store.db" in ended.err
    assert "hint:" in ended.err


def test_what_others_wrote_is_never_read_as_markup(earshot):
    ended = earshot("rules", "remove", "[bold]x[/nothing]")
    assert ended.code == 2
    assert "[bold]x[/nothing]" in ended.err


@pytest.mark.parametrize("expression", ['"open', "(a", "a AND", "likes:many", "-"])
def test_a_rule_that_cannot_be_read_says_where(earshot, expression):
    ended = earshot("rules", "format", "--", expression)
    assert ended.code == 2
    assert "at character" in ended.err


def test_a_reader_that_goes_away_is_no_stack(tmp_path):
    """`earshot … | head`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "earshot.cli", "--home", str(tmp_path), "counts", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
    )
    process.stdout.close()
    err = process.stderr.read().decode()
    process.stderr.close()
    process.wait(60)
    assert "Traceback" not in err
