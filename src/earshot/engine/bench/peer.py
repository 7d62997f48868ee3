"""The peers' way on the same records: one post at a time, with the libraries that peers use.

orjson objects, NLTK's TweetTokenizer, each rule as regular expressions tried one after the other,
one row at a time into SQLite, a commit every `COMMIT_EVERY` posts. One process, no full-text index,
no windows, no deduplication, no log: it does less than we do.
"""

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

from earshot.clock import SystemClock
from earshot.engine.bench.world import RULES, WORLD, batches, read_rules
from earshot.errors import MissingExtraError
from earshot.rules import Node, parse
from earshot.rules.nodes import And, Field, Not, Or, Phrase, Prefix, Word

COMMIT_EVERY: Final = 100
"""A script that is no toy commits small batches; a commit for each post would be slower still."""
TAG: Final = re.compile(r"<[^>]+>")
SCHEMA: Final = """
DROP TABLE IF EXISTS posts; DROP TABLE IF EXISTS hits;
CREATE TABLE posts (source TEXT, id TEXT, author TEXT, created TEXT, lang TEXT, text TEXT,
                    tokens TEXT, PRIMARY KEY (source, id));
CREATE TABLE hits (source TEXT, id TEXT, rule INTEGER);
"""


class Post(NamedTuple):
    """What a peer's script takes out of a payload."""

    id: str
    author: str
    created: str
    lang: str
    text: str


Test = Callable[[Post], bool]


def run(
    folder: Path,
    *,
    seconds: float,
    rules: str = RULES,
    world: str = WORLD,
    match_only: bool = False,
) -> dict[str, Any]:
    """Work off the world's records for so long, or to their end; runs in the measured process.

    Args:
        folder: Where world and rules lie.
        seconds: How long.
        rules: File of the expressions.
        world: File of the records.
        match_only: `posts_per_second` is that of the rules alone.
    """
    loads, tokenize = _libraries()
    tests = [as_regexes(parse(text)) for text in read_rules(folder / rules)]
    now = SystemClock().monotonic
    spent: dict[str, float] = dict.fromkeys(("json", "tokens", "rules", "sqlite"), 0.0)
    posts = hits = 0
    with closing(sqlite3.connect(folder / "peer.db")) as db:
        db.executescript(SCHEMA)
        began = now()
        for source, form, raw in _records(folder / world):
            start = now()
            post = read(form, loads(raw))
            after = now()
            spent["json"] += after - start
            if post is None:
                continue
            tokens = tokenize(post.text)
            start = now()
            spent["tokens"] += start - after
            found = [n for n, test in enumerate(tests) if test(post)]
            after = now()
            spent["rules"] += after - start
            _insert(db, source, post, tokens, found)
            posts, hits = posts + 1, hits + len(found)
            if posts % COMMIT_EVERY == 0:
                db.commit()
            done = now()
            spent["sqlite"] += done - after
            if done - began >= seconds:
                break
        db.commit()
        took = now() - began
    figures = _figures(posts, hits, took, spent)
    if match_only:
        figures["posts_per_second"] = round(posts / max(1e-9, spent["rules"]), 1)
    return figures


def _records(path: Path) -> Iterator[tuple[str, str, bytes]]:
    for frame in batches(path):
        yield from frame.select("source", "format", "raw").iter_rows()


def _insert(
    db: sqlite3.Connection, source: str, post: Post, tokens: list[str], found: list[int]
) -> None:
    """One row at a time."""
    row = (source, *post, " ".join(tokens))
    db.execute("INSERT OR IGNORE INTO posts VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    for rule in found:
        db.execute("INSERT INTO hits VALUES (?, ?, ?)", (source, post.id, rule))


def _figures(posts: int, hits: int, took: float, spent: Mapping[str, float]) -> dict[str, Any]:
    some = max(1, posts)
    return {
        "posts_per_second": round(posts / took, 1) if took > 0 else 0.0,
        "posts": posts,
        "seconds": round(took, 3),
        "hits_per_post": round(hits / some, 3),
        "without_rules_per_second": round(posts / max(1e-9, took - spent["rules"]), 1),
        "commit_every": COMMIT_EVERY,
        "stages": {name: round(s / some * 1e6, 3) for name, s in spent.items()},
    }


def _libraries() -> tuple[Callable[[bytes], Any], Callable[[str], list[str]]]:
    """`orjson.loads` and NLTK's tokenizer.

    Raises:
        MissingExtraError: One of them is not installed.
    """
    try:
        import orjson  # noqa: PLC0415 - an extra
        from nltk.tokenize import TweetTokenizer  # noqa: PLC0415 - an extra
    except ImportError as e:
        what = "the peers' way"
        raise MissingExtraError(what, "bench", e.name or "orjson") from e
    return orjson.loads, TweetTokenizer().tokenize


# -- payloads ----------------------------------------------------------------------------------
def read(form: str, payload: Any) -> Post | None:  # noqa: ANN401 - JSON
    """The post of a payload; None: it holds none (a like, a delete, a profile …)."""
    reader = READERS.get(form)
    if reader is None or not isinstance(payload, dict):
        return None
    try:
        return reader(payload)
    except (KeyError, TypeError, AttributeError):
        return None


def _jetstream(event: dict[str, Any]) -> Post | None:
    commit = event["commit"]
    if commit["collection"] != "app.bsky.feed.post" or commit["operation"] != "create":
        return None
    record = commit["record"]
    lang = (record.get("langs") or [""])[0]
    return Post(commit["rkey"], event["did"], record["createdAt"], lang, record["text"])


def _x_v1(tweet: dict[str, Any]) -> Post:
    text = tweet.get("full_text") or tweet["text"]
    author, lang = tweet["user"]["screen_name"], tweet.get("lang") or ""
    return Post(tweet["id_str"], author, tweet["created_at"], lang, text)


def _x_v2(page: dict[str, Any]) -> Post:
    tweet = page["data"]
    created, lang = tweet.get("created_at") or "", tweet.get("lang") or ""
    return Post(tweet["id"], tweet.get("author_id") or "", created, lang, tweet["text"])


def _mastodon(event: dict[str, Any]) -> Post:
    status = event.get("status", event)
    text = TAG.sub(" ", status["content"])
    author, lang = status["account"]["acct"], status.get("language") or ""
    return Post(status["id"], author, status["created_at"], lang, text)


def _reddit(thing: dict[str, Any]) -> Post:
    data = thing.get("data", thing)
    text = data.get("body") or f"{data['title']}\n{data.get('selftext') or ''}"
    return Post(data["name"], data["author"], str(data["created_utc"]), "", text)


def _meetup(answer: dict[str, Any]) -> Post:
    author, text = answer["member"]["member_name"], answer["event"]["event_name"]
    return Post(str(answer["rsvp_id"]), author, str(answer["mtime"]), "", text)


READERS: Final[Mapping[str, Callable[[dict[str, Any]], Post | None]]] = {
    "jetstream": _jetstream,
    "x_v1": _x_v1,
    "x_v2": _x_v2,
    "mastodon": _mastodon,
    "reddit": _reddit,
    "meetup": _meetup,
}


# -- rules -------------------------------------------------------------------------------------
def as_regexes(node: Node) -> Test:
    """A rule as a test of one post: regular expressions, put together as the rule says."""
    match node:
        case And(parts):
            tests = [as_regexes(p) for p in parts]
            return lambda post: all(test(post) for test in tests)
        case Or(parts):
            tests = [as_regexes(p) for p in parts]
            return lambda post: any(test(post) for test in tests)
        case Not(part):
            test = as_regexes(part)
            return lambda post: not test(post)
        case Field("lang", value):
            return lambda post: post.lang == value
        case Word() | Phrase() | Prefix():
            search = re.compile(_pattern(node), re.IGNORECASE).search
            return lambda post: search(post.text) is not None
        case _:
            msg = f"the peers' way knows no {type(node).__name__}"
            raise NotImplementedError(msg)


def _pattern(node: Word | Phrase | Prefix) -> str:
    """Words between word borders; those of a phrase with anything but letters between them."""
    words = r"\W+".join(map(re.escape, node.text.split()))
    return rf"(?<!\w){words}" if isinstance(node, Prefix) else rf"(?<!\w){words}(?!\w)"
