"""`earshot bench`: measure it on this machine."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from earshot.cli.common import Json, answer, app, err, out, table
from earshot.engine.bench import burst as bursts
from earshot.engine.bench.growth import measure_store
from earshot.engine.bench.matching import measure_rules
from earshot.engine.bench.pipeline import measure_pipeline
from earshot.engine.bench.queries import measure_queries
from earshot.engine.bench.serving import measure_serving

group = typer.Typer(no_args_is_help=True, help="Measure Earshot on this machine.")
app.add_typer(group, name="bench")

Rules = Annotated[int, typer.Option(min=0, max=100_000, help="Rules to match.")]
Seed = Annotated[int, typer.Option(help="Of world and rules.")]
Profile = Annotated[
    bool, typer.Option("--profile", help="Also say where the time goes; prints where it lies.")
]
Home_ = Annotated[
    Path | None,
    typer.Option("--store-home", help="Keep the filled store in this folder; used again if full."),
]
Step = Annotated[int, typer.Option(min=1000, help="Records that each process takes in.")]
Peer = Annotated[float, typer.Option(min=0, help="Seconds for the peers' way; 0: leave it out.")]


@group.command()
def pipeline(
    posts: Annotated[int, typer.Option(min=1000, help="Records of the demo world.")] = 1_000_000,
    rules: Rules = 1000,
    seed: Seed = 7,
    peer: Peer = 6.0,
    profile: Profile = False,
    as_json: Json = False,
) -> None:
    """Measure the whole embedded pipeline: log, rules, windows, every post stored and searchable.

    With --json the table goes to standard error, and one JSON object to standard output.

    Stages run on several threads, so that their times add up to more than the time that passed.
    """
    _measured(
        lambda folder: measure_pipeline(posts, rules, seed=seed, peer_s=peer, profile=folder),
        lambda found: _stages(found["stages"]),
        profile=profile,
        as_json=as_json,
    )


@group.command()
def rules(
    counts: Annotated[
        list[int] | None, typer.Option("--rules", min=1, help="How many (several times).")
    ] = None,
    sample: Annotated[int, typer.Option(min=1000, help="Records that are matched.")] = 40_000,
    posts: Annotated[
        int, typer.Option(min=0, help="Records for the whole pipeline; 0: leave it out.")
    ] = 200_000,
    seed: Seed = 7,
    peer: Peer = 5.0,
    profile: Profile = False,
    as_json: Json = False,
) -> None:
    """Measure matching alone on one core, and what many rules cost the whole pipeline."""
    sizes = sorted(set(counts or (10, 1000, 25_000)))
    columns = ("posts_per_second", "us_per_post", "compile_seconds", "add_one_seconds")
    _measured(
        lambda folder: measure_rules(
            sizes, sample=sample, posts=posts, peer_s=peer, seed=seed, profile=folder
        ),
        lambda found: pl.DataFrame(
            [
                {"rules": int(n), **{c: f[c] for c in columns}, "hits": f["hits_per_post"]["mean"]}
                for n, f in found["rules"].items()
            ]
        ),
        profile=profile,
        as_json=as_json,
    )


@group.command()
def burst(
    posts: Annotated[
        int, typer.Option(min=1000, help="Records handed over within one second.")
    ] = bursts.RECORD_SECOND,
    rules: Rules = 1000,
    seed: Seed = 7,
    profile: Profile = False,
    as_json: Json = False,
) -> None:
    """Hand a burst to the real collector within one second: is all of it taken, and worked off?"""
    _measured(
        lambda folder: bursts.measure_burst(posts, rules, seed=seed, profile=folder),
        _plain,
        profile=profile,
        as_json=as_json,
    )


@group.command()
def store(
    posts: Annotated[int, typer.Option(min=2000, help="Records in the end.")] = 400_000,
    rules: Rules = 0,
    step: Step = 100_000,
    home: Home_ = None,
    seed: Seed = 7,
    profile: Profile = False,
    as_json: Json = False,
) -> None:
    """Let a store grow: does taking in cost more when there is much already?"""
    columns = ("stored", "posts_per_second", "commit_us", "bytes_per_post", "rss_mb")
    _measured(
        lambda folder: measure_store(
            posts, rules=rules, step=step, home=home, seed=seed, profile=folder
        ),
        lambda found: pl.DataFrame(found["rounds"]).select(columns),
        profile=profile,
        as_json=as_json,
    )


@group.command()
def queries(
    posts: Annotated[int, typer.Option(min=1000, help="Records that are stored.")] = 200_000,
    rules: Rules = 100,
    rounds: Annotated[int, typer.Option(min=1, help="Fresh servers, each asked cold.")] = 3,
    repeats: Annotated[int, typer.Option(min=1, help="Times that all is asked warm.")] = 20,
    step: Step = 200_000,
    home: Home_ = None,
    seed: Seed = 7,
    profile: Profile = False,
    as_json: Json = False,
) -> None:
    """Ask a full store what the overview page asks, and searches of every kind, cold and warm."""
    _measured(
        lambda folder: measure_queries(
            posts, rules=rules, rounds=rounds, repeats=repeats, step=step, home=home, seed=seed,
            profile=folder,
        ),
        lambda found: _questions(
            {kind: found[kind] for kind in ("dashboard", "search")} | found["questions"]
        ),
        profile=profile,
        as_json=as_json,
    )  # fmt: skip


@group.command()
def memory(
    rate: Annotated[float, typer.Option(min=20, help="Posts a second.")] = 1000.0,
    minutes: Annotated[float, typer.Option(min=0.05, help="How long.")] = 2.0,
    rules: Rules = 1000,
    seed: Seed = 7,
    profile: Profile = False,
    as_json: Json = False,
) -> None:
    """Run `earshot up` under a steady load and watch the memory of all its processes."""
    _measured(
        lambda folder: measure_serving(rate, minutes, rules, seed=seed, profile=folder),
        lambda found: pl.DataFrame(
            found["memory"]["by_seconds"], schema=["second", "MB"], orient="row"
        ),
        profile=profile,
        as_json=as_json,
    )


@group.command()
def seen(
    rate: Annotated[float, typer.Option(min=20, help="Posts a second.")] = 1000.0,
    minutes: Annotated[float, typer.Option(min=0.05, help="How long.")] = 1.0,
    rules: Rules = 1000,
    seed: Seed = 7,
    profile: Profile = False,
    as_json: Json = False,
) -> None:
    """Run `earshot up` under a steady load: seconds from received to seen by a client."""
    _measured(
        lambda folder: measure_serving(rate, minutes, rules, seed=seed, profile=folder),
        lambda found: _plain({k: v for k, v in found["seen"].items() if v is not None}),
        profile=profile,
        as_json=as_json,
    )


def _measured(
    measure: Callable[[Path | None], dict[str, Any]],
    shown: Callable[[dict[str, Any]], pl.DataFrame],
    *,
    profile: bool,
    as_json: bool,
) -> None:
    """Measure, and print the table, the other figures, and the object."""
    folder = Path(tempfile.mkdtemp(prefix="earshot-profile-")) if profile else None
    with err.status("measuring …"):
        found = measure(folder)
    to = err if as_json else out
    rows = shown(found)
    table("figures", rows, to=to)
    told = set(rows["figure"]) if "figure" in rows.columns else set[str]()
    for name, value in found.items():
        if name not in told and isinstance(value, int | float | str):
            to.print(f"{name}: {_said(value)}", highlight=False, markup=False, soft_wrap=True)
    answer(found, as_json=as_json, show=lambda: None)


def _said(value: float | str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else f"{value:,}"


def _plain(found: Mapping[str, Any]) -> pl.DataFrame:
    rows = [(k, _said(v)) for k, v in found.items() if isinstance(v, int | float)]
    return pl.DataFrame(rows, schema=["figure", "value"], orient="row")


def _stages(stages: Mapping[str, float]) -> pl.DataFrame:
    """Stages, dearest first."""
    rows = sorted(stages.items(), key=lambda s: -s[1])
    return pl.DataFrame(rows, schema=["stage", "µs a post"], orient="row")


def _questions(found: Mapping[str, Mapping[str, Any]]) -> pl.DataFrame:
    measures = [(heat, p) for heat in ("cold", "warm") for p in ("p50", "p95")]
    rows = [(name, *(f[heat][p] for heat, p in measures)) for name, f in found.items()]
    heads = [f"{heat} {p}" for heat, p in measures]
    return pl.DataFrame(rows, schema=["ms", *heads], orient="row")
