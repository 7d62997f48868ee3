"""`earshot doctor`: is everything as it should be?"""

import importlib.metadata
import platform
import shutil
from collections.abc import Callable
from typing import Any

import apsw
import typer

from earshot import __version__
from earshot.cli.common import CLOCK, Json, answer, app, out, settings_of
from earshot.engine.home import engine_runs, log_of, open_control_of, prepare, store_of
from earshot.errors import EarshotError
from earshot.settings import Settings

LOW_DISK_GB = 2.0


@app.command("doctor")
def command(context: typer.Context, as_json: Json = False) -> None:
    """Check the machine, the home and every room; name what is wrong and how to mend it."""
    settings = settings_of(context)
    checks = [_check(name, look, settings) for name, look in CHECKS.items()]
    ok = all(c["ok"] for c in checks)
    answer({"ok": ok, "checks": checks}, as_json=as_json, show=lambda: _show(checks))
    raise typer.Exit(0 if ok else 1)


def _check(name: str, look: Callable[[Settings], str], settings: Settings) -> dict[str, Any]:
    try:
        return {"name": name, "ok": True, "detail": look(settings)}
    except (EarshotError, OSError) as e:
        return {"name": name, "ok": False, "detail": str(e), "hint": getattr(e, "hint", "")}


def _versions(_: Settings) -> str:
    parts = ("polars", "numba", "duckdb", "fastapi")
    found = ", ".join(f"{p} {importlib.metadata.version(p)}" for p in parts)
    return (
        f"Earshot {__version__}, Python {platform.python_version()}, "
        f"SQLite {apsw.sqlite_lib_version()}, {found}"
    )


def _disk(settings: Settings) -> str:
    free = shutil.disk_usage(prepare(settings)).free / 1e9
    if free < LOW_DISK_GB:
        msg = f"only {free:.1f} GB free at {settings.home}"
        raise EarshotError(msg, hint="free some, or lower keep.gigabytes and keep.log_gigabytes")
    return f"{settings.home} can be written, {free:.0f} GB free"


def _log(settings: Settings) -> str:
    with log_of(settings) as log:
        return f"records {log.oldest():,} to {log.head():,}, {log.size() / 1e6:,.1f} MB"


def _store(settings: Settings) -> str:
    with store_of(settings) as store:
        return f"offset {store.offset():,}, {store.size() / 1e6:,.1f} MB"


def _control(settings: Settings) -> str:
    with open_control_of(settings, CLOCK) as control:
        return f"{len(control.rules())} rules, {len(control.people())} people"


def _lag(settings: Settings) -> str:
    with log_of(settings) as log, store_of(settings) as store:
        lag = log.head() - store.offset()
    if lag < 0:
        msg = f"the store is {-lag:,} records ahead of the log: they do not belong together"
        raise EarshotError(msg, hint="bring back the log's file, or start with another --home")
    return f"{lag:,} records wait"


def _engine(settings: Settings) -> str:
    return "runs" if engine_runs(settings) else "does not run (commands work by themselves)"


CHECKS: dict[str, Callable[[Settings], str]] = {
    "versions": _versions,
    "disk": _disk,
    "log": _log,
    "store": _store,
    "control": _control,
    "lag": _lag,
    "engine": _engine,
}


def _show(checks: list[dict[str, Any]]) -> None:
    for check in checks:
        mark = "[green]ok[/green]  " if check["ok"] else "[red]bad[/red] "
        out.print(f"{mark} {check['name']}: {check['detail']}", highlight=False)
        if check.get("hint"):
            out.print(f"     hint: {check['hint']}", highlight=False, markup=False)
