"""What the tests of the archive share."""

import asyncio
import datetime as dt
import json

import polars as pl

from earshot.sources import RECORDS
from earshot.sources.archive import connect

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


class FakeClock:
    """Time that passes only by sleeping."""

    def __init__(self, now=START):
        self.time, self.slept = now, []

    def now(self):
        return self.time

    def monotonic(self):
        return (self.time - START).total_seconds()

    async def sleep(self, seconds):
        if seconds:
            self.slept.append(seconds)
        self.time += dt.timedelta(seconds=seconds)


def tweet(n, *, second=None, **more):
    at = f"Thu Jan 01 {n // 3600:02d}:{n // 60 % 60:02d}:{n % 60:02d} +0000 2026"
    if second is not None:
        at = f"Thu Jan 01 00:{second // 60:02d}:{second % 60:02d} +0000 2026"
    user = {"id_str": "7", "screen_name": "ada", "name": "Ada"}
    whole = {"created_at": at, "id_str": str(1000 + n), "text": f"number {n}", "user": user}
    return json.dumps({**whole, "lang": "en", **more}, ensure_ascii=False)


def status(n):
    account = {"id": "7", "username": "ada", "acct": "ada", "display_name": "Ada", "url": ""}
    return {
        "id": str(2000 + n),
        "created_at": "2026-01-01T00:00:00.000Z",
        "content": f"<p>number {n}</p>",
        "visibility": "public",
        "account": account,
        "uri": f"https://town.example/{n}",
    }


def chunks(source, cursor=None, stop=None):
    """All chunks, or those until `stop(chunk)`."""

    async def run():
        got = []
        stream = source.stream(cursor)
        async for chunk in stream:
            got.append(chunk)
            if stop and stop(chunk):
                break
        await stream.aclose()
        return got

    return asyncio.run(run())


def frame(got):
    """The records of chunks."""
    frames = [c.frame for c in got if c.frame is not None]
    return pl.concat([pl.DataFrame(schema=RECORDS), *frames])


def read(*paths, clock=None, cursor=None, **options):
    """All records of an archive."""
    clock = clock or FakeClock()
    source = connect(
        "archive:", clock=clock, sleep=clock.sleep, paths=[str(p) for p in paths], **options
    )
    return frame(chunks(source, cursor))
