"""Exports: rows streamed page by page, and how they were found."""

import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from fastapi.responses import Response, StreamingResponse

from earshot.api.deps import Actor, Filters, Rooms

MEDIA_TYPES: Final = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "ids": "text/plain; charset=utf-8",
}


def respond(
    rooms: Rooms, actor: Actor, filters: Filters, form: str, provenance: str
) -> StreamingResponse:
    """Begin an export."""
    raise NotImplementedError
