"""The sketch of distinct authors keeps its stated error and does not know order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.pipeline.sketch import REGISTERS, add_all, estimate, unite


def sketch(keys):
    registers = np.zeros(REGISTERS, np.uint8)
    add_all(registers, np.asarray(keys, np.uint64))
    return registers


@pytest.mark.parametrize("size", [1_000, 1_025, 4_000, 30_000, 50_000, 100_000, 300_000, 1_000_000])
def test_the_95th_percentile_of_relative_error_is_at_most_2_percent(size):
    errors = []
    for seed in range(60):
        keys = np.random.default_rng(seed).integers(0, 2**63, size, np.uint64) << np.uint64(1)
        errors.append(abs(estimate(sketch(keys)) / size - 1))
    assert np.quantile(errors, 0.95) <= 0.02


def test_keys_of_poor_quality_are_mixed():
    assert abs(estimate(sketch(range(0, 100_000, 2))) / 50_000 - 1) < 0.03


def test_an_empty_sketch_is_nobody():
    assert estimate(sketch([])) == 0


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), max_size=60), st.integers(0, 60))
def test_uniting_equals_noting_everything_in_one_sketch(keys, cut):
    left, right = sketch(keys[:cut]), sketch(keys[cut:])
    unite(left, right)
    assert (left == sketch(keys[::-1] + keys)).all()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), max_size=60), st.lists(st.integers(0, 2**64 - 1)))
def test_more_authors_are_never_estimated_as_fewer(some, more):
    assert estimate(sketch(some)) <= estimate(sketch(some + more))
