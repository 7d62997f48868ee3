"""Posts: search, one post, delete."""

from typing import Annotated, Literal

import polars as pl
from fastapi import Query, Response

from earshot.api import present
from earshot.api.deps import (
    CursorText,
    DeletePosts,
    FiltersDep,
    Limit,
    ReadPosts,
    Rooms,
    RoomsDep,
)
from earshot.api.operate import append_and_wait
from earshot.api.paging import Cursor, address, decode, encode, fingerprint
from earshot.api.problems import ProblemError
from earshot.api.routes import router
from earshot.api.schemas.posts import Applied, Post, PostsPage
from earshot.engine import query
from earshot.engine.operate import control_record
from earshot.engine.query import place_of
from earshot.errors import NotFoundError
from earshot.model.changes import KEY

api = router("posts")

Order = Annotated[
    Literal["newest", "oldest"], Query(description="By event time, then source, then id.")
]


@api.get("/posts", operation_id="posts_list")
def posts(
    actor: ReadPosts,
    rooms: RoomsDep,
    filters: FiltersDep,
    response: Response,
    limit: Limit = 50,
    cursor: CursorText = None,
    order: Order = "newest",
    count: Annotated[Literal["exact"] | None, Query(description="Also count all matches.")] = None,
) -> PostsPage:
    """Find stored posts, a page at a time; every post once, however many come in meanwhile."""
    mark = fingerprint(present.asked(filters, order=order))
    at = decode(cursor, mark)
    as_of = rooms.live.head()
    found = query.search(
        rooms.store,
        filters.q,
        scope=present.scope_of(filters),
        limit=limit,
        after=at.place if at else None,
        newest_first=(order == "newest") != bool(at and at.back),
        total=count == "exact",
    )
    page = _page(found, at, mark)
    asked = {**present.asked(filters, order=order), "limit": limit, "count": count}
    next_url = address("/api/v1/posts", asked, page[1])
    response.headers.update(_links(next_url, address("/api/v1/posts", asked, page[2])))
    return PostsPage(
        items=present.posts(rooms.store, page[0], present.visible(rooms, actor), filters.q),
        next=page[1],
        next_url=next_url,
        prev=page[2],
        as_of=as_of,
        complete=found.complete,
        total=found.total,
        gaps=present.gaps(rooms.store.gaps(filters.span), sources=filters.source),
    )


@api.get("/posts/{source}/{id:path}", operation_id="posts_get")
def post(
    source: str,
    id: str,  # noqa: A002 - the field's name
    actor: ReadPosts,
    rooms: RoomsDep,
) -> Post:
    """One post; 410 where the network or an operator deleted it."""
    rows = _one(rooms, source, id)
    return present.posts(rooms.store, rows, present.visible(rooms, actor))[0]


@api.delete("/posts/{source}/{id:path}", operation_id="posts_delete")
def delete(
    source: str,
    id: str,  # noqa: A002 - the field's name
    actor: DeletePosts,
    rooms: RoomsDep,
) -> Applied:
    """Delete a post for ever: from posts, windows, lake and exports."""
    _one(rooms, source, id)
    rooms.control.audit(actor.person.name, "post.delete", f"{source}/{id}")
    item = control_record(kind="delete", source=source, id=id, actor=actor.person.name)
    return append_and_wait(rooms, (item,))


def _one(rooms: Rooms, source: str, id_: str) -> pl.DataFrame:
    """The stored, visible row of a key. Raises `post-deleted` or NotFoundError."""
    rows = rooms.store.get(pl.DataFrame({"source": [source], "id": [id_]}, schema=KEY))
    rows = rows.filter(~pl.col("hidden"))
    if rows.height:
        return rows
    if rooms.store.tombstoned(source, id_):
        raise ProblemError("post-deleted", f"{source} {id_}.")
    msg = f"no post {id_!r} of {source!r} is stored here"
    raise NotFoundError(msg)


def _page(
    found: query.Found, at: Cursor | None, mark: str
) -> tuple[pl.DataFrame, str | None, str | None]:
    """The rows in the list's order, and the cursors of its neighbours."""
    onward = (
        encode(Cursor(found.cursor, back=at is not None and at.back), mark)
        if found.cursor
        else None
    )
    rows = found.posts
    if at is None:
        return rows, onward, None
    if at.back:
        # the page was read backwards: behind it lies the page we came from
        rows = rows.reverse()
        last = place_of(rows, -1) if rows.height else at.place
        return rows, encode(Cursor(last, back=False), mark), onward
    first = place_of(rows, 0) if rows.height else at.place
    return rows, onward, encode(Cursor(first, back=True), mark)


def _links(next_url: str | None, prev_url: str | None) -> dict[str, str]:
    links = [f'<{u}>; rel="{r}"' for u, r in ((next_url, "next"), (prev_url, "prev")) if u]
    return {"Link": ", ".join(links)} if links else {}
