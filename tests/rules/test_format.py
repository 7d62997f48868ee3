import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.rules.strategies import NODES
from tests.rules.test_parse import PIECES

from earshot.errors import RuleSyntaxError
from earshot.rules import format_rule, parse


@given(NODES)
def test_what_is_written_reads_back_the_same(node):
    assert parse(format_rule(node)) == node


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_writing_twice_changes_nothing(text):
    try:
        node = parse(text)
    except RuleSyntaxError:
        return
    written = format_rule(node)

    assert parse(written) == node
    assert format_rule(parse(written)) == written


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a  AND (b)", "a b"),
        ("NOT (a OR b)", "-(a OR b)"),
        ("(a b) OR c", "a b OR c"),
        ("likes:>=10 likes:3..3", "likes:10.. likes:3"),
        ('from:"a b" lang:EN', 'from:"a b" lang:en'),
        (r'"a \"b\""', r'"a \"b\""'),
    ],
)
def test_there_is_one_way_to_write_an_expression(text, written):
    assert format_rule(parse(text)) == written
