"""Tables of the store's one SQLite file, and how they came about, version by version."""

from typing import Final

from earshot.model.schema import STORED

LISTS: Final = ("hashtags", "mentions", "cashtags", "links", "media")
"""Columns of STORED that share one JSON text."""
FLAGS: Final = ("consumed", "hidden", "copy", "late")
"""Columns of STORED that share one number, the first as its lowest bit."""
CONSUMED, HIDDEN, COPY, LATE = 1, 2, 4, 8
PLAIN: Final = tuple(c for c in STORED if c not in LISTS and c not in FLAGS)
"""Columns of STORED that have a column of their own, in their order."""
COLUMNS: Final = (*PLAIN, "flags", "lists")
"""What the table has of STORED; `rules` and their versions came later."""


def _columns() -> str:
    """The posts table: what look-ups read first, and nothing declared that SQLite ignores."""
    return ", ".join(f'"{c}"' for c in COLUMNS)


PRAGMAS: Final = (
    "page_size = 8192",
    "auto_vacuum = INCREMENTAL",
    "journal_mode = WAL",
    "synchronous = NORMAL",
    "wal_autocheckpoint = 8000",
    "journal_size_limit = 134217728",
    "cache_size = -65536",
    "temp_store = MEMORY",
)
READER_PRAGMAS: Final = ("query_only = 1", "cache_size = -16384", "temp_store = MEMORY")

STEPS: Final = (
    (
        f"CREATE TABLE posts (spot INTEGER PRIMARY KEY, ord INTEGER NOT NULL, {_columns()})",
        "CREATE INDEX posts_ord ON posts (ord)",
        "CREATE INDEX posts_received ON posts (received_at)",
        """CREATE VIRTUAL TABLE fts USING fts5 (
            words, tags, content = '', contentless_delete = 1,
            tokenize = "ascii tokenchars '#@_$''-'")""",
        # Segments pile up a little higher before they are merged: fewer, longer merges.
        "INSERT INTO fts (fts, rank) VALUES ('automerge', 16)",
        "INSERT INTO fts (fts, rank) VALUES ('crisismerge', 64)",
        "CREATE TABLE hidden (spot INTEGER PRIMARY KEY)",
        """CREATE TABLE hits (
            spot INTEGER, rule INTEGER, version INTEGER, PRIMARY KEY (spot, rule)
        ) WITHOUT ROWID""",
        """CREATE TABLE observations (
            spot INTEGER, minute INTEGER, seen_at INTEGER, base INTEGER,
            likes, reposts, replies, quotes, views, score, PRIMARY KEY (spot, minute)
        ) WITHOUT ROWID""",
        "CREATE INDEX observations_minute ON observations (minute)",
        """CREATE TABLE tombstones (
            ord INTEGER, source TEXT, id TEXT, version INTEGER, received_at INTEGER,
            PRIMARY KEY (ord, source, id)) WITHOUT ROWID""",
        """CREATE TABLE remembered (
            n INTEGER PRIMARY KEY, ord INTEGER, at INTEGER, source TEXT, id TEXT,
            consumed INTEGER, version INTEGER, received_at INTEGER, "offset" INTEGER,
            copy INTEGER, late INTEGER, text_hash INTEGER)""",
        "CREATE INDEX remembered_ord ON remembered (ord)",
        """CREATE TABLE interactions (
            n INTEGER PRIMARY KEY, ord INTEGER, source TEXT, key TEXT, kind TEXT, actor TEXT,
            object TEXT, at INTEGER, taken INTEGER)""",
        "CREATE INDEX interactions_ord ON interactions (ord)",
        "CREATE TABLE texts (n INTEGER PRIMARY KEY, at INTEGER, hashes BLOB)",
        """CREATE TABLE authors (
            source TEXT, id TEXT, handle TEXT, name TEXT, bio TEXT, location TEXT,
            followers INTEGER, verified INTEGER, seen_at INTEGER, PRIMARY KEY (source, id)
        ) WITHOUT ROWID""",
        """CREATE TABLE counts (
            minute INTEGER, source TEXT, rule INTEGER, name TEXT, n INTEGER,
            PRIMARY KEY (minute, source, rule, name)) WITHOUT ROWID""",
        """CREATE TABLE totals (
            source TEXT, rule INTEGER, name TEXT, n INTEGER,
            PRIMARY KEY (source, rule, name)) WITHOUT ROWID""",
        """CREATE TABLE windows (
            width INTEGER, rule INTEGER, source TEXT, start INTEGER,
            posts INTEGER, authors INTEGER, score INTEGER, data INTEGER,
            PRIMARY KEY (width, rule, start, source)) WITHOUT ROWID""",
        "CREATE TABLE blocks (n INTEGER PRIMARY KEY, data BLOB)",
        "CREATE INDEX windows_start ON windows (width, start)",
        """CREATE TABLE dirty (
            minute INTEGER, source TEXT, PRIMARY KEY (minute, source)) WITHOUT ROWID""",
        """CREATE TABLE frozen (
            minute INTEGER, source TEXT, PRIMARY KEY (minute, source)) WITHOUT ROWID""",
        """CREATE TABLE gaps (
            seq INTEGER PRIMARY KEY, source TEXT, connection TEXT, rule INTEGER, since INTEGER,
            until INTEGER, reason TEXT, detail TEXT)""",
        """CREATE TABLE quarantine (
            "offset" INTEGER PRIMARY KEY, source TEXT, connection TEXT, format TEXT,
            received_at INTEGER, key TEXT, headers TEXT, raw BLOB, reason TEXT)""",
        "CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        """CREATE TABLE changes (
            seq INTEGER PRIMARY KEY, at INTEGER, kind TEXT, rules TEXT, payload TEXT)""",
        # Facts of the store itself, which `note` does not reach.
        "CREATE TABLE own (key TEXT PRIMARY KEY, value) WITHOUT ROWID",
        "INSERT INTO own VALUES ('offset', 0), ('epoch', lower(hex(randomblob(8))))",
    ),
    ('ALTER TABLE dirty ADD COLUMN "offset" INTEGER NOT NULL DEFAULT 0',),
    (
        # Near-duplicate families, see `_families`.
        """CREATE TABLE bands (
            n INTEGER PRIMARY KEY, day INTEGER, version INTEGER, spots BLOB, bands BLOB)""",
        "CREATE INDEX bands_day ON bands (day)",
        "CREATE TABLE days (day INTEGER PRIMARY KEY, changed INTEGER, settled INTEGER)",
        "CREATE TABLE families (spot INTEGER PRIMARY KEY, spots BLOB)",
    ),
    (
        # Hits lie in their post's row, as two texts of numbers in order of rule.
        "ALTER TABLE posts ADD COLUMN rules",
        "ALTER TABLE posts ADD COLUMN rule_versions",
        """UPDATE posts SET (rules, rule_versions) = (
            SELECT group_concat(rule, ' ' ORDER BY rule), group_concat(version, ' ' ORDER BY rule)
            FROM hits h WHERE h.spot = posts.spot)
        WHERE spot IN (SELECT spot FROM hits)""",
        "DROP TABLE hits",
    ),
    (
        # The names that posts without any are read with, and who else a handle finds (`_names`).
        """CREATE TABLE names (
            id TEXT, source TEXT, handle TEXT, name TEXT, tag TEXT, PRIMARY KEY (id, source)
        ) WITHOUT ROWID""",
        "CREATE INDEX names_tag ON names (tag)",
        "INSERT INTO own SELECT 'unmarked', 1 WHERE EXISTS (SELECT 1 FROM posts)",
        # A batch makes one segment, not several to be merged, in leaves that fill a page.
        "INSERT INTO fts (fts, rank) VALUES ('hashsize', 33554432)",
        "INSERT INTO fts (fts, rank) VALUES ('pgsz', 8000)",
    ),
)
