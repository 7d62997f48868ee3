from hypothesis import given
from hypothesis import strategies as st

from earshot.engine.rate import Rate


def test_things_a_second_over_the_last_ten_seconds():
    rate = Rate()
    for second in range(20):
        rate.add(float(second), 30)
    assert rate.value(19.0) == 30.0
    assert rate.value(24.0) == 15.0
    assert rate.value(60.0) == 0.0


@given(st.lists(st.tuples(st.floats(0, 0.5), st.integers(1, 9)), max_size=300))
def test_memory_is_bounded_and_what_is_recent_is_counted_exactly(steps):
    rate, at, all_seen = Rate(), 0.0, []
    for after, n in steps:
        at += after
        rate.add(at, n)
        all_seen.append((int(at), n))
    assert len(rate._seconds) <= 11
    assert rate.value(at) == round(sum(n for second, n in all_seen if second > at - 10) / 10, 1)
