"""A store of dictionaries: does what `Changes` says, and knows what `Wanted` asks for."""

from collections import Counter

import polars as pl

from earshot.model.changes import Changes, State, Wanted
from earshot.model.schema import COUNTERS, INTERACTION, STATE, STORED

PLACE = ("place", "country", "latitude", "longitude", "place_from")


class MemoryStore:
    def __init__(self):
        self.posts, self.hits, self.tombstones, self.remembered = {}, {}, {}, {}
        self.authors, self.interactions, self.observations = {}, {}, {}
        self.counts, self.texts, self.quarantine, self.dirty = Counter(), set(), [], set()

    # -- what the pipeline asks ------------------------------------------------------------
    def state(self, wanted: Wanted) -> State:
        acts = {
            k: self.interactions[k]
            for k in wanted.interactions.iter_rows()
            if k in self.interactions
        }
        authors = set(wanted.authors.iter_rows())
        keys = set(wanted.keys.iter_rows()) | {(r["source"], r["object"]) for r in acts.values()}
        keys |= {k for k, r in self.posts.items() if (r["source"], r["author_id"]) in authors}
        rows = [row for key in sorted(keys) if (row := self._known(key))]
        return State(
            posts=pl.DataFrame(rows, STATE, orient="row"),
            interactions=pl.DataFrame(list(acts.values()), INTERACTION, orient="row"),
            texts=pl.Series("texts", [], pl.UInt64),
        )

    def _known(self, key):
        nothing = dict.fromkeys(STATE) | {"source": key[0], "id": key[1]}
        if key in self.tombstones:
            return nothing | {"tombstone": True, "version": self.tombstones[key]}
        if key in self.posts:
            return {c: self.posts[key][c] for c in STATE if c != "tombstone"} | {"tombstone": False}
        if key in self.remembered:
            return nothing | {"tombstone": False, "hidden": False} | self.remembered[key]
        return None

    def known_texts(self, hashes: pl.Series) -> pl.Series:
        return pl.Series("texts", sorted(self.texts & set(hashes)), pl.UInt64)

    # -- what the pipeline changes ---------------------------------------------------------
    def apply(self, changes: Changes) -> None:
        for row in changes.posts.select(STORED.names()).to_dicts():
            key = row["source"], row["id"]
            self.posts[key] = row
            self.hits[key] = set()
            self.remembered.pop(key, None)
        for source, id_, rule, version in changes.hits.iter_rows():
            self.hits[source, id_].add((rule, version))
        for row in changes.promoted.to_dicts():
            self.posts[row["source"], row["id"]] |= row | {"consumed": True}
        for row in changes.remembered.to_dicts():
            self.remembered[row["source"], row["id"]] = row
        self._observe(changes)
        for row in changes.flags.to_dicts():
            self.posts[row["source"], row["id"]]["hidden"] = row["hidden"]
        for key in changes.scrubbed.iter_rows():
            self.posts[key] |= dict.fromkeys(PLACE)
        for source, id_, version, _ in changes.tombstones.iter_rows():
            self._bury((source, id_), version)
        for row in changes.interactions.to_dicts():
            if row["removed"]:
                del self.interactions[row["source"], row["key"]]
            else:
                self.interactions[row["source"], row["key"]] = row
        for row in changes.authors.to_dicts():
            old = self.authors.get((row["source"], row["id"]), {})
            self.authors[row["source"], row["id"]] = old | {
                k: v for k, v in row.items() if v is not None
            }
        for minute, source, rule, name, n in changes.counts.iter_rows():
            self.counts[minute, source, rule, name] += n
        self.texts |= set(changes.texts)
        self.quarantine += changes.quarantine.to_dicts()
        self.dirty |= set(changes.dirty.iter_rows())

    def _observe(self, changes):
        for row in changes.observations.to_dicts():
            key = row["source"], row["id"]
            old = self.observations.get((*key, row["minute"]))
            if old is None or row["seen_at"] >= old["seen_at"]:
                self.observations[(*key, row["minute"])] = row | {
                    "base": row["base"] or bool(old and old["base"])
                }
            post = self.posts[key]
            if post["counters_at"] is None or row["seen_at"] >= post["counters_at"]:
                post |= {c: row[c] for c in COUNTERS if row[c] is not None}
                post["counters_at"] = row["seen_at"]

    def _bury(self, key, version):
        self.tombstones[key] = max(version, self.tombstones.get(key, version))
        self.posts.pop(key, None)
        self.hits.pop(key, None)
        self.remembered.pop(key, None)
        self.observations = {k: v for k, v in self.observations.items() if k[:2] != key}

    # -- what tests look at ----------------------------------------------------------------
    def total(self, name, rule=0):
        return sum(n for (_, _, r, m), n in self.counts.items() if (r, m) == (rule, name))

    def content(self):
        """All that is kept, to be compared."""
        return {
            "posts": self.posts, "hits": self.hits, "tombstones": self.tombstones,
            "interactions": self.interactions, "observations": self.observations,
            "remembered": self.remembered, "authors": self.authors, "texts": self.texts,
            "counts": {k: n for k, n in self.counts.items() if n},
        }  # fmt: skip
