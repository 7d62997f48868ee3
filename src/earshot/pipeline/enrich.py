"""The slot for what models find in posts: language, sentiment, emotion, entities."""

from typing import Protocol

import polars as pl

from earshot.model.tokens import Tokens


class Enricher(Protocol):
    """Adds what it finds to posts; pure: what it says of a post depends on that post alone."""

    def enrich(self, posts: pl.DataFrame, tokens: Tokens) -> pl.DataFrame:
        """Return the same rows, in the same order, with columns filled or added."""


def enrich(posts: pl.DataFrame, tokens: Tokens, enricher: Enricher | None) -> pl.DataFrame:
    """Ask the enricher, where there is one."""
    return posts if enricher is None else enricher.enrich(posts, tokens)
