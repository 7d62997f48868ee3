"""SQL over the files of a lake with DuckDB: one reading statement, no other file, no network."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import duckdb
import polars as pl

from earshot.errors import UsageError
from earshot.model.schema import STORED

READING: Final = frozenset({"SELECT", "EXPLAIN", "PRAGMA"})
"""Kinds of statements that change nothing; DESCRIBE, SHOW and SUMMARIZE are SELECT to DuckDB."""


def run(query: str, root: Path, files: Sequence[str], gone: pl.DataFrame) -> pl.DataFrame:
    """Answer a query over the view `posts`: the newest row of each key that is not gone or hidden.

    Args:
        query: One statement that reads.
        root: The one folder that may be read.
        files: The Parquet files to read.
        gone: `source`, `id`, `before`: rows of files with a smaller number are gone.

    Raises:
        UsageError: Not one statement, or not one that reads.
        duckdb.Error: What DuckDB says.
    """
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    with duckdb.connect(":memory:", config=config) as db:
        db.execute(
            "SET TimeZone = 'UTC'; SET temp_directory = '';SET python_enable_replacements = false"
        )
        _make_view(db, files, gone)
        db.execute(f"SET allowed_directories = [{_text(str(root.resolve()))}]")
        db.execute("SET enable_external_access = false; SET lock_configuration = true")
        return _answer(db, query)


def _answer(db: duckdb.DuckDBPyConnection, query: str) -> pl.DataFrame:
    kinds = [s.type.name for s in db.extract_statements(query)]
    if len(kinds) != 1 or kinds[0] not in READING:
        msg = f"one query that reads is wanted, not: {', '.join(kinds) or 'nothing'}"
        raise UsageError(msg, hint="SELECT … FROM posts")
    return pl.DataFrame(db.sql(query).to_arrow_table())


def _make_view(db: duckdb.DuckDBPyConnection, files: Sequence[str], gone: pl.DataFrame) -> None:
    columns = ", ".join(f'"{c}"' for c in STORED)
    if not files:
        db.register("_empty", pl.DataFrame(schema=STORED).to_arrow())
        db.execute("CREATE TABLE _none AS SELECT * FROM _empty")
        db.unregister("_empty")
        db.execute("CREATE VIEW posts AS SELECT * FROM _none")
        return
    db.register("_list", gone.to_arrow())
    db.execute("CREATE TABLE _gone AS SELECT * FROM _list")
    db.unregister("_list")
    listed = ", ".join(map(_text, files))
    number = "CAST(parse_filename(p.filename, true) AS BIGINT)"
    db.execute(
        f"""CREATE VIEW posts AS SELECT {columns} FROM read_parquet(
            [{listed}], hive_partitioning = false, union_by_name = true, filename = true) p
        ANTI JOIN _gone g ON p.source = g.source AND p.id = g.id AND {number} < g.before
        WHERE NOT hidden"""  # noqa: S608 - names and paths of our own, quoted
    )


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
