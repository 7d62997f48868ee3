"""What the documentation says is so: pages are current, links resolve, commands and rules work."""

import ast
import os
import re
import shlex
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import pytest
import typer
from tests.rules.strategies import frame, tokens
from tools import reference

from earshot import formats
from earshot.api import metrics
from earshot.api.problems import KINDS
from earshot.api.rights import ACTIONS
from earshot.cli.app import app
from earshot.formats.csv import COLUMNS
from earshot.model.schema import POST
from earshot.rules import matches, parse
from earshot.rules.grammar import ALIASES, HAS, IS, LATE, OPERATORS
from earshot.settings import Settings

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
GUIDES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((DOCS / "guide").glob("*.md"))]
GUIDES += [DOCS / "benchmarks.md", DOCS / "index.md"]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| (.+) \|$", re.MULTILINE)
RULES = DOCS / "guide" / "rules.md"


def name(path):
    return str(path.relative_to(ROOT))


def text(page):
    return (reference.FOLDER / page).read_text(encoding="utf-8")


def cells(page):
    """The rows of all tables of a page, cells without their marks of code."""
    found = [row.split(" | ") for row in ROW.findall(page.replace("\\|", "¦"))]
    return [[c.strip().strip("`").replace("¦", "|") for c in row] for row in found]


def slug(heading):
    plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", plain))


# -- generated pages --------------------------------------------------------------------------


@pytest.mark.parametrize("page", reference.PAGES)
def test_a_generated_page_is_what_the_code_says(page):
    assert text(page) == reference.PAGES[page](), "run: python tools/reference.py"


def test_every_setting_has_a_row_with_its_meaning():
    rows = {row[0]: row for row in cells(text("settings.md"))}
    for part, field in Settings.model_fields.items():
        inside = getattr(field.annotation, "model_fields", None)
        for setting in [f"{part}.{n}" for n in inside] if inside else [part]:
            assert rows[setting][1] == "EARSHOT_" + setting.replace(".", "__").upper()
            assert rows[setting][-1], f"{setting} has no docstring"


def test_every_variable_of_the_page_is_read(monkeypatch, tmp_path):
    samples = {"whole number": "1", "number": "1", "`true`, `false`": "true", "list": '["wss://a"]'}
    given = {"EARSHOT_HOME": str(tmp_path)}
    for _, variable, takes, default, _ in (r for r in cells(text("settings.md")) if len(r) == 5):
        if variable.startswith("EARSHOT_") and variable not in given:
            kind = takes.partition(", ≥")[0].partition(", >")[0]
            given[variable] = samples.get(kind, samples.get(f"`{kind}`", default))
    for variable, value in given.items():
        monkeypatch.setenv(variable, "" if value == "empty" else value)
    read = Settings()

    assert (read.keep.days, read.web.port) == (1.0, 1)
    assert read.bluesky.hosts == ("wss://a",)


def test_every_command_has_its_heading_and_help():
    page, found = text("cli.md"), dict(reference.walk(typer.main.get_command(app)))

    assert {"earshot up", "earshot rules add", "earshot sql"} <= found.keys()
    for command, thing in found.items():
        assert f"### `{command}`\n" in page
        assert thing.help
        for option in thing.params:
            assert all(f"`{o}" in page for o in option.opts if o.startswith("--"))


def test_every_metric_in_the_code_has_its_row():
    source = ast.parse(Path(metrics.__file__).read_text(encoding="utf-8"))
    texts = {n.value for n in ast.walk(source) if isinstance(n, ast.Constant)}
    known = {row[0].removesuffix("_total"): row[-1] for row in cells(text("metrics.md"))}
    engine = {k.removeprefix("earshot_engine_") for k in known if k.startswith("earshot_engine_")}

    named = {t for t in texts if isinstance(t, str) and re.fullmatch(r"earshot_\w*[a-z]", t)}
    assert len(named) > 5
    assert all(known[metric] for metric in named)
    assert {"running", "lag_records", "resident_megabytes"} <= engine & texts


def test_every_problem_has_its_row():
    rows = {row[0]: row for row in cells(text("problems.md"))}
    for code, kind in KINDS.items():
        assert rows[code][1:] == [str(kind.status), kind.title, kind.remedy]


def test_every_field_of_a_post_is_explained():
    page = text("schema.md").partition("## A link")[0]
    rows = {row[0]: row for row in cells(page) if len(row) == 3}
    for field in POST:
        assert rows[field][2], f"{field} has no comment in earshot.model.schema"


# -- written pages ----------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_to_a_file_resolves(page):
    prose = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for target in LINK.findall(prose):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target} leads nowhere"
        assert file.is_relative_to(ROOT), f"{target} leads out of the repository"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(slug, headings), f"{target}: no such heading"


def not_shell(word):
    return word not in {"|", ">", ">>", "<", "&&", "||", ";", "&"}


def commands():
    """Every `earshot …` in blocks and in code within the text: where, and the words behind it."""
    for page in GUIDES:
        whole = page.read_text(encoding="utf-8")
        lines = {ln: True for k, b in BLOCK.findall(whole) if k == "sh" for ln in b.splitlines()}
        spoken = dict.fromkeys(re.findall(r"`([^`\n]+)`", BLOCK.sub("", whole)), False)
        for line, whole_line in (spoken | lines).items():
            said = re.match(r"(?:\.venv/bin/)?earshot (.+)", line.strip())
            if said and not said[1].startswith(("…", "COMMAND")):
                words = list(takewhile(not_shell, shlex.split(said[1], comments=True)))
                yield pytest.param(words, whole_line, id=f"{page.stem}: {line.strip()}")


@pytest.mark.parametrize(("words", "whole"), list(commands()))
def test_every_command_in_the_guides_can_be_parsed(words, whole):
    command = typer.main.get_command(app)
    context = command.make_context("earshot", words, resilient_parsing=len(words) == 0)
    rest = [*getattr(context, "_protected_args", []), *context.args]
    while hasattr(command, "resolve_command") and rest:
        called, command, rest = command.resolve_command(context, rest)
        if hasattr(command, "resolve_command") and not rest:
            return  # a group alone, in a sentence
        try:
            context = command.make_context(called, rest, parent=context)
        except Exception as e:
            if whole or type(e).__name__ != "MissingParameter":  # a sentence need not say them all
                raise
            return
        rest = [*getattr(context, "_protected_args", []), *context.args]

    assert not rest


def test_every_make_target_in_the_guides_is_there():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    for page in GUIDES:
        shown = page.read_text(encoding="utf-8")
        blocks = "".join(b for kind, b in BLOCK.findall(shown) if kind == "sh")
        used = re.findall(r"^make ([a-z]+)", blocks, re.MULTILINE) + re.findall(
            r"`make ([a-z]+)`", shown
        )
        assert set(used) <= targets


def test_every_variable_in_the_guides_is_a_setting():
    known = set(re.findall(r"`(EARSHOT_\w+)`", text("settings.md")))
    known |= {"EARSHOT_SHARED"}  # of the tests
    for page in PAGES:
        assert set(re.findall(r"EARSHOT_[A-Z]\w+", page.read_text(encoding="utf-8"))) <= known


# -- the rule language ------------------------------------------------------------------------


def examples(heads):
    """The rows of the tables of the guide to rules that have these heads."""
    tables = re.findall(r"(?:^\|.*\n)+", RULES.read_text(encoding="utf-8"), re.MULTILINE)
    return [row for t in tables if cells(t)[0] == heads for row in cells(t)[2:]]


@pytest.mark.parametrize("row", examples(["expression", "finds", "does not find"]))
def test_an_example_finds_what_the_guide_says(row):
    rule, *shown = row
    posts = frame([{"source": "x", "id": str(i), "text": t} for i, t in enumerate(shown)])

    assert matches(parse(rule), posts, tokens(posts)).tolist() == [True, False]


def test_every_operator_has_an_example_in_the_guide_that_can_be_read():
    now = [row[0] for row in examples(["expression", "finds posts"])]
    later = [row[0] for row in examples(["expression", "will find posts"])]
    for rule in [*now, *later]:
        parse(rule)

    assert {rule.partition(":")[0] for rule in now} == OPERATORS - LATE
    assert {rule.partition(":")[0] for rule in later} == LATE
    assert {f"has:{w}" for w in HAS} | {f"is:{w}" for w in IS} <= set(now)
    whole = RULES.read_text(encoding="utf-8")
    assert all(f"`{alias}:`" in whole for alias in ALIASES)


def test_every_format_and_column_of_a_table_is_in_the_reference():
    whole = text("formats.md")
    rows = {row[0]: row[1] for row in cells(whole) if len(row) == 2}
    for known in formats.names():
        assert f"\n## {known}\n" in whole
    for field, columns in COLUMNS.items():
        assert rows[field].replace("`", "").split(", ") == list(columns)


def test_every_right_is_in_the_guide_with_its_role():
    guide = (DOCS / "guide" / "api.md").read_text(encoding="utf-8")
    roles = {a: row[1] for row in cells(guide) if len(row) == 3 for a in re.split("`, `", row[0])}

    assert {a: roles.get(a) for a in ACTIONS} == ACTIONS


# -- the site ---------------------------------------------------------------------------------


def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs")
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONWARNINGS": "ignore"}
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert built.returncode == 0, built.stderr[-3000:]
    assert (tmp_path / "site" / "guide" / "rules" / "index.html").is_file()
