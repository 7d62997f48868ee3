"""The live stream: server-sent events with resume."""

from typing import Annotated, cast

from fastapi import Header, Query, Request, Response

from earshot.api import stream
from earshot.api.auth import Auth
from earshot.api.deps import FollowStream, RoomsDep
from earshot.api.routes import router
from earshot.api.schemas.stream import EVENTS

api = router("live")

DESCRIPTION = (
    """Follow what happens, as server-sent events.

Every event has an `id`: reconnect with the header `Last-Event-ID` (or `after=`) and nothing is
missed; where that is not possible any more, one `reset` tells to fetch everything again. The `data`
of each event is JSON: """
    + ", ".join(f"`{name}` is {shape.__name__}" for name, shape in EVENTS.items())
    + ". `hello`, `tick`, `reset` and `lagged` come whatever the topics are."
)


@api.get(
    "/stream",
    operation_id="stream_follow",
    description=DESCRIPTION,
    response_class=Response,
    responses={
        200: {
            "description": "Events, until the client leaves or the session ends.",
            "content": {
                "text/event-stream": {
                    "schema": {"type": "string"},
                    "example": 'event: hello\\nid: k3v9x2.1042\\ndata: {"heartbeat_s":10}\\n\\n',
                }
            },
        }
    },
)
async def follow(
    actor: FollowStream,
    rooms: RoomsDep,
    request: Request,
    topics: Annotated[
        str,
        Query(
            description="Comma-separated: posts:all, posts:rule:<id>, windows, gaps, corrections, "
            "jobs, system.",
            max_length=2000,
            examples=["posts:rule:12,windows,corrections"],
        ),
    ] = "posts:all,windows,gaps,corrections,system",
    after: Annotated[
        str | None, Query(description="`as_of` of a list, or the id of an event.", max_length=100)
    ] = None,
    last_event_id: Annotated[
        str | None, Header(description="Id of the last event seen.", max_length=100)
    ] = None,
) -> Response:
    """Follow the change feed."""
    auth = cast("Auth", request.app.state.auth)
    place = last_event_id or after
    return stream.EventStream(rooms, auth, actor, stream.read_topics(topics), place)
