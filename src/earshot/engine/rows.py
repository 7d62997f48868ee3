"""Posts as objects of JSON: times as ISO 8601, in schema order, `source` and `id` first."""

from typing import Any

import msgspec
import polars as pl

from earshot.model.schema import POST


def objects(posts: pl.DataFrame) -> list[dict[str, Any]]:
    """One object a post: POST's fields, then `rules` where the frame has them."""
    columns = [*POST.names(), *(["rules"] if "rules" in posts.columns else [])]
    lines = posts.select(columns).with_columns(
        pl.selectors.datetime().dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    )
    text = ",".join(lines.write_ndjson().split("\n")[:-1])
    return msgspec.json.decode(f"[{text}]", type=list[dict[str, Any]])
