"""Write the pages of docs/reference that are made from the code, so that both agree.

`python tools/reference.py` writes them; with `--check` it writes nothing, names the pages that are
not current, and fails.
"""

import argparse
import ast
import inspect
import io
import json
import re
import sys
import textwrap
import tokenize
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import polars as pl
import typer
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from earshot.api import metrics as figures
from earshot.api.deps import Rooms
from earshot.api.problems import KINDS
from earshot.cli.app import app
from earshot.clock import SystemClock
from earshot.model import schema as frames
from earshot.settings import Settings

ROOT: Final = Path(__file__).resolve().parents[1]
FOLDER: Final = ROOT / "docs" / "reference"
NOTE: Final = "<!-- Made by tools/reference.py from the code: change it there, then run that. -->"


def page(title: str, *parts: str) -> str:
    """A page of Markdown: title, the note that it is made, parts apart from each other."""
    return "\n\n".join((f"# {title}", NOTE, *(p.strip("\n") for p in parts if p))) + "\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; line breaks and bars in cells are made harmless."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(_cell(c) for c in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def code(text: str) -> str:
    """`text`, or nothing where there is none."""
    return f"`{text}`" if text else ""


def settings() -> str:
    """Every setting with its variable, default and meaning, one table a part."""
    own, parts = [], []
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            title = f"## `{name}`\n\n{inspect.cleandoc(field.annotation.__doc__ or '')}"
            parts.append(f"{title}\n\n{_settings(field.annotation, f'{name}.')}")
        else:
            own.append(name)
    return page("Settings", SETTINGS, "## All of it\n\n" + _settings(Settings, "", own), *parts)


SETTINGS: Final = """
A setting comes from the first of these that has it: an option of the command line, an environment
variable, `earshot.toml` in the home folder, the default. An unknown name is an error. In
`earshot.toml` a part is a table:

```toml
[keep]
days = 30
```

Lists in variables are JSON: `EARSHOT_BLUESKY__HOSTS='["wss://one.example"]'`. Relative paths in
URLs start at `home`.
"""


def _settings(model: type[BaseModel], prefix: str, names: Sequence[str] = ()) -> str:
    said = attribute_docs(model)
    return table(
        ("setting", "variable", "takes", "default", "what"),
        (
            (
                code(prefix + name),
                code("EARSHOT_" + (prefix + name).replace(".", "__").upper()),
                _takes(field),
                _default(field),
                said.get(name, ""),
            )
            for name, field in model.model_fields.items()
            if not names or name in names
        ),
    )


def attribute_docs(model: type[BaseModel]) -> dict[str, str]:
    """The text under each attribute of a class."""
    (body,) = ast.parse(inspect.getsource(model)).body
    return dict(_documented(body.body)) if isinstance(body, ast.ClassDef) else {}


def _documented(body: Sequence[ast.stmt]) -> Iterator[tuple[str, str]]:
    for statement, behind in pairwise(body):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            text = _text(behind)
            if text:
                yield statement.target.id, text


def _text(statement: ast.stmt) -> str:
    """The text of a statement that is nothing but a text."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return inspect.cleandoc(str(statement.value.value))
    return ""


def _takes(field: FieldInfo) -> str:
    kind: Any = field.annotation
    if typing.get_origin(kind) is typing.Literal:
        return ", ".join(code(str(v)) for v in typing.get_args(kind))
    names = {int: "whole number", float: "number", bool: "`true`, `false`", str: "text"}
    said = names.get(kind, "folder" if kind is Path else "list")
    bounds = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    limits = [
        f"{sign} {getattr(m, name)}"
        for m in field.metadata
        for name, sign in bounds.items()
        if getattr(m, name, None) is not None
    ]
    return ", ".join((said, *limits))


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "see there"
    value = field.default
    return code(value if isinstance(value, str) else json.dumps(value)) or "empty"


def commands() -> str:
    """Every command with its help, arguments and options."""
    root: Any = typer.main.get_command(app)
    told = [_command(root, "earshot", top=True), *(_command(c, n) for n, c in walk(root))]
    return page("Commands", COMMANDS, *told)


COMMANDS: Final = """
`earshot COMMAND --help` prints the same. Exit codes: 0 done, 2 wrong use, 130 and 143 stopped by
Ctrl-C and SIGTERM, 1 anything else. With `--json` a command prints one JSON object and nothing
else; messages go to standard error.
"""


def walk(group: Any, above: str = "earshot") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - the library's own types moved between its versions
    """Every command below a group that is not hidden, by its full name."""
    context = group.make_context(above, [], resilient_parsing=True)
    for name in group.list_commands(context):
        command = group.resolve_command(context, [name])[1]  # a list alone imports no commands
        if command.hidden:
            continue
        yield f"{above} {name}", command
        if hasattr(command, "list_commands"):
            yield from walk(command, f"{above} {name}")


def _command(command: Any, name: str, *, top: bool = False) -> str:  # noqa: ANN401 - as above
    shown = [p for p in command.params if not getattr(p, "hidden", False)]
    shown = [p for p in shown if not {"--install-completion", "--show-completion"} & {*p.opts}]
    arguments = [p for p in shown if p.param_type_name == "argument"]
    options = [p for p in shown if p.param_type_name == "option"]
    usage = " ".join(
        [name]
        + ["[OPTIONS]"] * bool(options)
        + [_metavar(p) for p in arguments]
        + ["COMMAND"] * hasattr(command, "list_commands")
    )
    parts = [f"{'##' if top else '###'} `{name}`", f"```text\n{usage}\n```"]
    parts.append(_help(command.help or ""))
    if arguments:
        rows = ((code(_metavar(p)), p.help or "") for p in arguments)
        parts.append(table(("argument", "what"), rows))
    if options:
        heads = ("option", "default", "what")
        parts.append(table(heads, ((_flags(p), _given(p), _said(p)) for p in options)))
    return "\n\n".join(parts)


def _help(text: str) -> str:
    """The help with its examples as such: a paragraph of commands is one."""
    paragraphs = text.strip("\n").split("\n\n")
    examples = [p.lstrip().startswith("earshot ") for p in paragraphs]
    shown = (
        f"```sh\n{textwrap.dedent(p)}\n```" if example else p
        for p, example in zip(paragraphs, examples, strict=True)
    )
    return "\n\n".join(shown)


def _metavar(argument: Any) -> str:  # noqa: ANN401 - as above
    return str(argument.metavar or argument.name.upper())


def _flags(option: Any) -> str:  # noqa: ANN401 - as above
    takes = "" if option.is_flag else f" {option.metavar or option.name.strip('_').upper()}"
    return ", ".join(code(o + takes) for o in (*option.opts, *option.secondary_opts))


def _given(option: Any) -> str:  # noqa: ANN401 - as above
    if option.is_flag:
        names = option.opts if option.default else option.secondary_opts
        return code(names[0]) if names else ""
    return "" if option.default in (None, ()) else code(str(option.default))


def _said(option: Any) -> str:  # noqa: ANN401 - as above
    low, high = getattr(option, "min", None), getattr(option, "max", None)
    parts = [option.help or ""]
    if low is not None:
        parts.append(f"At least {low:,}." if high is None else f"{low:,} to {high:,}.")
    if option.envvar:
        parts.append(f"Variable: `{option.envvar}`.")
    return " ".join(parts).strip()


def metrics() -> str:
    """Every figure that /metrics may give, as a scraper sees it."""
    rows = []
    for family in text_string_to_metric_families(figures.text(_rooms())):
        labels = sorted({label for sample in family.samples for label in sample.labels})
        name = family.name + ("_total" if family.type == "counter" else "")
        rows.append((code(name), family.type, ", ".join(map(code, labels)), family.documentation))
    return page("Metrics", METRICS, table(("metric", "type", "labels", "what"), rows))


METRICS: Final = """
`GET /metrics` in Prometheus' text format. From this machine without a right; from elsewhere with a
token that has `metrics:read`. A figure that is not known is left out. The classes and marks of
`earshot_records_total` and `earshot_posts_total` are those of [counts](counts.md).
"""


def _rooms() -> Rooms:
    """Rooms that know every figure; they only have to be asked, so the values mean nothing."""
    engine = {
        "updated_at": "2026-01-01T00:00:00Z",
        "stage_us": {"decode": 1},
        **dict.fromkeys(("records", "lag_records", "batches"), 1),
        **dict.fromkeys(("records_per_second", "lag_seconds", "rss_mb"), 1.0),
    }
    names = (frames.FLOW_CLASSES[0], frames.MARKS[0], "expired")
    row = {"minute": None, "source": "x", "rule": 0, "n": 1}
    counts = pl.DataFrame([{**row, "name": n} for n in names], schema=frames.COUNT)
    report = {"state": "live", "per_second": 1.0, "last_received_at": "2026-01-01T00:00:00Z"}
    store = types.SimpleNamespace(
        facts=lambda _: {"engine": json.dumps(engine)}, counts=lambda: counts, size=lambda: 1
    )
    log = types.SimpleNamespace(reports=lambda: {"x": json.dumps(report)}, size=lambda: 1)
    unused: Any = None
    room: Any = types.SimpleNamespace(log=log, store=store)
    return Rooms(room.log, room.store, unused, unused, None, SystemClock())


def problems() -> str:
    """Every kind of problem."""
    rows = ((code(c), str(k.status), k.title, k.remedy) for c, k in KINDS.items())
    return page("Problems", PROBLEMS, table(("code", "status", "title", "what to do"), rows))


PROBLEMS: Final = """
Every answer of the API that is no success is `application/problem+json`
([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)): `type` is the address of a page that explains
it (`/problems/CODE`), `code` the word for programs, `title` always the same sentence for one code,
`detail` what happened here with the remedy, `instance` the request's id (also in `X-Request-Id`
and in the log), `errors` the places of the input that are wrong.
"""


SHOWN: Final = {
    "POST": "A post",
    "LINK": "A link of a post",
    "MEDIA": "A picture, video or sound of a post",
    "STORED": "What the store adds to a post",
    "EVENT": "What a network says about a post or a person",
    "INTERACTION": "A like, repost or follow",
    "WINDOW": "A row of a window",
    "GAP": "A gap",
    "RECORD": "A record of the log",
}
"""Frames of `earshot.model.schema` → the heading under which they are told of."""


def schema() -> str:
    """Every column of the frames that people meet."""
    text = Path(frames.__file__).read_text(encoding="utf-8")
    module, remarks = ast.parse(text), comments(text)
    parts = []
    for statement, behind in pairwise(module.body):
        name = _assigned(statement)
        if name in SHOWN:
            told = {
                key.value: _resolved(remarks.get(value.end_lineno or 0, ""))
                for key, value in _entries(statement)
                if isinstance(key, ast.Constant)
            }
            frame = getattr(frames, name)
            fields = frame.to_schema() if isinstance(frame, pl.Struct) else frame
            known = frames.POST if name == "STORED" else ()
            rows = [
                (code(n), kind(k), told.get(n, "")) for n, k in fields.items() if n not in known
            ]
            shown = (f"## {SHOWN[name]}", _text(behind), table(("field", "type", "what"), rows))
            parts.append((list(SHOWN).index(name), "\n\n".join(filter(None, shown))))
    return page("Fields", SCHEMA, *(part for _, part in sorted(parts)))


SCHEMA: Final = """
Posts of every network have the same fields, in exports, in the API, in SQL and in Parquet. Times
are UTC with microseconds. Ids are text, as the network writes them. A null is "the network did not
say"; an empty list is "none". [Formats](formats.md) says where each network has them from.
"""


def _resolved(text: str) -> str:
    """A comment with its names of constants and frames as a page can show them."""
    said = re.sub(
        r"one of ([A-Z_]{4,})", lambda m: ", ".join(map(code, getattr(frames, m[1]))), text
    )
    return re.sub(r"see (LINK|MEDIA)", lambda m: f"see *{SHOWN[m[1]]}*", said)


def comments(source: str) -> dict[int, str]:
    """Line → its comment, without the sign."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}


def _assigned(statement: ast.stmt) -> str:
    target = statement.target if isinstance(statement, ast.AnnAssign) else None
    return target.id if isinstance(target, ast.Name) else ""


def _entries(statement: ast.stmt) -> Iterator[tuple[ast.expr | None, ast.expr]]:
    """Keys and values of the dict in `NAME = pl.Schema({…})`."""
    call = statement.value if isinstance(statement, ast.AnnAssign) else None
    if isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.Dict):
        yield from zip(call.args[0].keys, call.args[0].values, strict=True)


def kind(column: Any) -> str:  # noqa: ANN401 - a polars type or its class
    """A column's type in a word."""
    if column == pl.List:
        return f"list of {kind(column.inner)}"
    if column == pl.Struct:
        return "object"
    names = {pl.String: "text", pl.Binary: "bytes", pl.Boolean: "boolean", pl.Float64: "number"}
    return names.get(column, "time" if column == frames.TIME else "whole number")


PAGES: Final[dict[str, Callable[[], str]]] = {
    "settings.md": settings,
    "cli.md": commands,
    "metrics.md": metrics,
    "problems.md": problems,
    "schema.md": schema,
}


def stale() -> list[Path]:
    """The pages that are not what the code says."""
    made = {FOLDER / name: make() for name, make in PAGES.items()}
    return [p for p, text in made.items() if not p.is_file() or p.read_text("utf-8") != text]


def main() -> int:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    if parser.parse_args().check:
        old = stale()
        for path in old:
            sys.stderr.write(f"{path.relative_to(ROOT)} is not current: run tools/reference.py\n")
        return 1 if old else 0
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
