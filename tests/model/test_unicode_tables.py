import unicodedata

import pytest

from earshot.model.unicode_tables import LIMIT, build, tables


def test_the_shipped_tables_are_those_that_build_makes():
    if unicodedata.unidata_version != "14.0.0":
        pytest.skip("the shipped tables are those of Unicode 14")
    shipped = tables()
    fresh = build()
    from earshot.model import unicode_tables

    assert len(fresh) > 10_000
    assert (
        fresh == unicode_tables.files("earshot.model").joinpath("unicode_tables.bin").read_bytes()
    )
    assert len(shipped.fold) == LIMIT


def test_tables_are_read_only():
    assert not any(a.flags.writeable for a in tables())
