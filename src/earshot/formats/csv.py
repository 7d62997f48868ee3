"""Rows of a table: exports of other tools, and whatever has a header with a text in it.

`split` makes each row an object with the header's names. Columns are found by the names that
exports commonly use (case, spaces and punctuation do not count), the first of each list that is
there: see `COLUMNS`. A row is `create`; without an id it gets one from author, time and text, so
that the same row twice is the same post. A row with neither text nor title is quarantined.

The separator is `,`, `;`, tab or `|`, whichever the header has most of; quoting as in RFC 4180.
"""

import csv
import io
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import polars as pl

from earshot.errors import FormatError
from earshot.formats import Decoded, _cut
from earshot.formats._frames import decoded, judged, nested
from earshot.formats._json import Fields, read
from earshot.formats._links import links
from earshot.formats._text import country, language, latitude, longitude, nonempty
from earshot.formats._times import iso, millis, seconds, tweet_time

NAME: Final = "csv"
SOURCE: Final = "csv"
