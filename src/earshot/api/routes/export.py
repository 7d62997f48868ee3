"""Everything that a filter finds, as a file."""

from typing import Annotated, Literal

from fastapi import Query
from fastapi.responses import StreamingResponse

from earshot.api import exports
from earshot.api.deps import ExportPosts, FiltersDep, RoomsDep
from earshot.api.routes import router

api = router("posts")


@api.get(
    "/export",
    operation_id="posts_export",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The posts, one a line or row, `source` and `id` first.",
            "content": {
                name: {"schema": {"type": "string"}} for name in exports.MEDIA_TYPES.values()
            },
        }
    },
)
def export(
    actor: ExportPosts,
    rooms: RoomsDep,
    filters: FiltersDep,
    format: Annotated[  # noqa: A002 - the parameter's name
        Literal["csv", "jsonl", "parquet", "ids"], Query(description="Form of the file.")
    ] = "csv",
    provenance: Annotated[
        Literal["with", "without", "only"],
        Query(
            description="How the posts were found: rule text, gaps, versions. `with`: as comment "
            "lines of CSV and metadata of Parquet; `only`: as JSON, instead of the posts."
        ),
    ] = "with",
) -> StreamingResponse:
    """Stream all posts that a filter finds, without a cap."""
    return exports.respond(rooms, actor, filters, format, provenance)
