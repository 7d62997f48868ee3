"""What dedupe means, record by record, in the plainest words: slow, and easy to believe."""

import datetime as dt
from collections import Counter

from tests.pipeline.world import NOON, when

SAME = ("consumed", "hidden", "copy", "late", "text", "place", "likes", "reposts")
COUNTED = {"like": "likes", "repost": "reposts", "quote": "quotes"}


class Reference:
    def __init__(self):
        self.posts, self.tombstones, self.acts, self.authors = {}, {}, {}, {}
        self.classes, self.counts, self.texts = [], Counter(), set()

    def take(self, happenings):
        for h in happenings:
            self._take(h)
        return self

    def _take(self, h):
        cls = h.cls
        if h.post:
            cls = self._sight(h, h.post, "create" if h.cls == "create" else "update") or h.cls
        for sight in h.embedded:
            self.counts[self._sight(h, sight, "embedded")] += 1
        if h.event:
            self._event(h, h.event)
        if h.act:
            self._act(h, h.act)
        self.classes.append(cls)
        self.counts[cls] += 1

    # -- posts -----------------------------------------------------------------------------
    def _sight(self, h, sight, role):
        key = h.source, sight.id
        author = h.source, f"author:{sight.author}"
        if key in self.tombstones or author in self.tombstones:
            self._bury(key, sight.version)
            return {"create": "duplicate", "embedded": "embedded_seen"}.get(role)
        post = self.posts.get(key)
        known = post is not None
        consumes = role == "create" and not (known and post["consumed"])
        order = sight.version, when(h), h.offset
        if not known:
            post = self.posts[key] = {
                "consumed": False, "hidden": False, "copy": False, "late": False, "likes": None,
                "seen": None, "order": None, "text": None, "author": sight.author, "place": None,
            }  # fmt: skip
        if role == "create" and known and sight.version > post["most"]:
            post["hidden"] = False
        post["most"] = max(sight.version, post.get("most", sight.version))
        if not known or self._wins(order, sight, post, consumes=consumes):
            post |= {"order": order, "text": sight.text, "place": sight.fields.get("place")}
            post["place"] = None if self._scrubbed(h.source, sight) else post["place"]
        self._count(h, sight, post)
        if consumes:
            copy = sight.text in self.texts and sight.fields.get("kind") != "repost"
            late = when(h) - NOON > dt.timedelta(minutes=10) and not h.headers
            post |= {"consumed": True, "copy": copy, "late": late}
            self.counts["copies"] += copy
            self.counts["late"] += late
            if sight.fields.get("kind") != "repost":
                self.texts.add(sight.text)
        if role == "embedded":
            return "embedded_seen" if known else "embedded_new"
        return {True: "unique", False: "duplicate"}[consumes] if role == "create" else None

    def _wins(self, order, sight, post, *, consumes):
        if consumes and order[0] >= post["order"][0]:
            return True
        says_nothing = order[0] == post["order"][0] and sight.text == post["text"]
        return order > post["order"] and not says_nothing

    def _count(self, h, sight, post):
        likes = sight.fields.get("likes")
        if likes is None or likes == post["likes"]:
            return
        if post["seen"] is None or when(h) >= post["seen"]:
            post |= {"likes": likes, "seen": when(h)}

    def _scrubbed(self, source, sight):
        upto = self.tombstones.get((source, f"scrub:{sight.author}"))
        return upto is not None and int(sight.id) <= upto

    def _bury(self, key, version):
        version = max(version or 0, self.tombstones.get(key, version or 0))
        if key in self.posts:
            version = max(version, self.posts.pop(key)["most"])
        self.tombstones[key] = version

    # -- events and interactions -----------------------------------------------------------
    def _event(self, h, said):
        kind, source, version = said["kind"], h.source, said["version"]
        of_author = [
            k for k, p in self.posts.items() if (k[0], p["author"]) == (source, said["author_id"])
        ]
        one = (source, said["id"])
        targets = of_author if said["id"] is None else [one] if one in self.posts else []
        if kind == "delete":
            self._bury(one, version)
        elif kind == "author_delete":
            for key in of_author:
                self._bury(key, 0)
            self._bury((source, f"author:{said['author_id']}"), version)
        elif kind in ("hide", "show"):
            for key in targets:
                self.posts[key]["hidden"] = kind == "hide"
        elif kind == "sync":
            for key in of_author:
                self.posts[key]["hidden"] |= self.posts[key]["most"] < version
        elif kind == "geo_scrub":
            self._bury((source, f"scrub:{said['author_id']}"), version)
            for key in of_author:
                if int(key[1]) <= self.tombstones[source, f"scrub:{said['author_id']}"]:
                    self.posts[key]["place"] = None

    def _act(self, h, act):
        key = h.source, act["key"]
        if act["removed"] and key in self.acts:
            kind, target = self.acts.pop(key)
            self._raise(h, target, COUNTED[kind], -1)
        elif not act["removed"] and key not in self.acts:
            target = h.source, act["object"]
            if act["kind"] in COUNTED and target in self.posts:
                self.acts[key] = act["kind"], target
                self._raise(h, target, COUNTED[act["kind"]], 1)

    def _raise(self, h, target, counter, by):
        if target in self.posts:
            post = self.posts[target]
            post[counter] = (post.get(counter) or 0) + by
            post["seen"] = max(when(h), post["seen"] or when(h))


def kept(store):
    """What the reference knows too, of what a store keeps."""
    return {
        "posts": {
            k: {c: p[c] for c in (*SAME, "version")}
            for k, p in store.posts.items()
        },
        "tombstones": store.tombstones,
        "acts": set(store.interactions),
    }  # fmt: skip


def expected(reference):
    """The same of the reference."""
    return {
        "posts": {
            k: {
                c: p.get(c)
                for c in ("consumed", "hidden", "copy", "late", "text", "place", "likes", "reposts")
            }
            | {"version": p["order"][0]}
            for k, p in reference.posts.items()
        },
        "tombstones": reference.tombstones,
        "acts": set(reference.acts),
    }
