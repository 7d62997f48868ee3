"""Cut answers of X API v2 into tweets that keep just what they refer to."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from earshot.formats import _cut

_KEYS: Final = {"users": "id", "tweets": "id", "media": "media_key", "places": "id", "polls": "id"}


def items(document: bytes) -> Iterator[bytes]:
    """The members of a page; anything else as it is."""
    page = _cut.fields(document) if b'"data"' in document else None
    members = _cut.members(page["data"]) if page and "data" in page else None
    if not page or not members:
        yield document
        return
    includes = _Includes(page.get("includes"))
    kept = {n: page[n] for n in ("matching_rules", "__twarc") if n in page}
    for raw in members:
        tweet = _cut.value(raw)
        if not isinstance(tweet, dict) or "text" not in tweet:
            yield raw
            continue
        around = includes.needed(tweet)
        item: dict[str, Any] = {"data": msgspec.Raw(raw)}
        if around:
            item["includes"] = around
        yield msgspec.json.encode(item | kept)


class _Includes:
    """What came along with a page, by kind and key."""

    def __init__(self, raw: msgspec.Raw | None) -> None:
        found = _cut.value(raw) if raw is not None else None
        whole: dict[str, Any] = found if isinstance(found, dict) else {}
        self._by_key: dict[str, dict[str, Any]] = {
            kind: {str(v[key]): v for v in whole.get(kind, ()) if isinstance(v, dict) and key in v}
            for kind, key in _KEYS.items()
            if isinstance(whole.get(kind), list)
        }

    def needed(self, tweet: dict[str, Any]) -> dict[str, list[Any]]:
        """What `tweet`, the tweets it refers to, and those that these refer to, have need of."""
        tweets = self._tweets(tweet)
        wanted: dict[str, dict[str, None]] = {kind: {} for kind in _KEYS}
        for one in (tweet, *tweets.values()):
            attached, geo = one.get("attachments") or {}, one.get("geo") or {}
            people = (one.get("author_id"), one.get("in_reply_to_user_id"))
            wanted["users"] |= dict.fromkeys(str(p) for p in people if p)
            wanted["media"] |= dict.fromkeys(map(str, attached.get("media_keys") or ()))
            wanted["polls"] |= dict.fromkeys(map(str, attached.get("poll_ids") or ()))
            if geo.get("place_id"):
                wanted["places"][str(geo["place_id"])] = None
        wanted["tweets"] = dict.fromkeys(tweets)
        found = {
            kind: [known[k] for k in wanted[kind] if k in known]
            for kind, known in self._by_key.items()
        }
        return {kind: some for kind, some in found.items() if some}

    def _tweets(self, tweet: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Tweets within two references of `tweet`."""
        known = self._by_key.get("tweets", {})
        found: dict[str, dict[str, Any]] = {}
        front = [tweet]
        for _ in range(2):
            ids = [
                str(r.get("id"))
                for one in front
                for r in one.get("referenced_tweets") or ()
                if isinstance(r, dict)
            ]
            front = [known[i] for i in ids if i in known and i not in found]
            found |= {i: known[i] for i in ids if i in known}
        return found
