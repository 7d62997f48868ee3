"""What an expression finds, in stored posts or in files, without saving it as a rule."""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import polars as pl

from earshot.clock import Clock
from earshot.engine.collect import records_of
from earshot.engine.query import rule_test
from earshot.pipeline import flow
from earshot.rules import Node, matches, parse
from earshot.sources import open_source
from earshot.store import Store

SAMPLES = 10
SHOWN = ("source", "id", "kind", "event_time", "author_handle", "lang", "text", "permalink")


@dataclass(frozen=True, slots=True)
class Trial:
    """Posts looked at, posts found, and a few of these."""

    posts: int
    hits: int
    samples: list[dict[str, Any]]
    complete: bool = True

    def flat(self) -> dict[str, Any]:
        """The fixed interface of `earshot rules test --json`."""
        return {
            "posts": self.posts,
            "hits": self.hits,
            "complete": self.complete,
            "samples": self.samples,
        }


def try_on_store(store: Store, expression: str, *, variant: str = "all") -> Trial:
    """Try an expression on everything that is stored; `variant`: which posts count."""
    found = rule_test(store, expression, variant=variant, samples=SAMPLES)
    return Trial(found.posts, found.hits, samples_of(found.samples), found.complete)


def try_on_files(path: str, expression: str, *, variant: str = "all", clock: Clock) -> Trial:
    """Try an expression on the posts of archives, each read once; nothing is stored."""
    node = parse(expression)
    return asyncio.run(_read(path, node, variant, clock))


async def _read(path: str, node: Node, variant: str, clock: Clock) -> Trial:
    seen: set[tuple[str, str]] = set()
    texts: set[int] = set()
    posts, hits, samples = 0, 0, list[dict[str, Any]]()
    source = open_source("archive:", clock=clock, options={"paths": [path]})
    async with aclosing(source.stream(None)) as chunks:  # type: ignore[type-var]  # the protocol promises an iterator; all of ours are generators
        async for chunk in chunks:
            records = records_of(chunk, "trial", clock.now())
            if records.height == 0:
                continue
            annotated = flow.annotated(flow.prepare(records))
            keys = annotated.posts.select("source", "id").rows()
            fresh = [key not in seen and not seen.add(key) for key in keys]  # type: ignore[func-returns-value]  # as meant
            if variant != "all":
                fresh = _no_copies(annotated.posts, fresh, texts)
            found = annotated.posts.filter(
                pl.Series(matches(node, annotated.posts, annotated.tokens))
                & pl.Series(fresh, dtype=pl.Boolean)
            )
            posts, hits = posts + sum(fresh), hits + found.height
            samples += samples_of(found.head(SAMPLES - len(samples)))
    return Trial(posts, hits, samples)


def _no_copies(posts: pl.DataFrame, fresh: list[bool], texts: set[int]) -> list[bool]:
    """Which of the fresh posts have a text that is not among `texts`; adds theirs to it."""
    kept = []
    for new, kind, text in zip(fresh, posts["kind"], posts["text_hash"], strict=True):
        kept.append(new and (text == 0 or kind == "repost" or text not in texts))
        if new and text:
            texts.add(text)
    return kept


def samples_of(posts: pl.DataFrame) -> list[dict[str, Any]]:
    """A few posts as objects for people and programs."""
    shown = posts.select(SHOWN)
    return shown.with_columns(pl.col("event_time").dt.to_string("iso:strict")).to_dicts()
