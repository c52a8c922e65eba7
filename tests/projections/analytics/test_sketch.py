"""The sketch: percentiles within 1 %, and the same bytes in whatever order it was filled."""

import math
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.analytics.sketch import (
    LONGEST_US,
    RELATIVE_ERROR,
    Growing,
    bin_of,
    counted,
    merged,
    percentile,
)

times = st.one_of(st.integers(0, 300), st.integers(0, 10**9), st.integers(0, LONGEST_US))
ROUNDING = 1e-9  # of the floats


def sketch_of(us: Iterable[int], onto: bytes = b"") -> bytes:
    return sketch_of_bins(map(bin_of, us), onto)


def sketch_of_bins(numbers: Iterable[int], onto: bytes = b"") -> bytes:
    growing: Growing = onto
    for number in numbers:
        growing = growing, number
    return counted(growing)


@settings(max_examples=50, deadline=None)
@given(st.lists(times, min_size=1, max_size=200), st.integers(1, 100))
def test_every_percentile_is_within_one_percent_of_the_nearest_rank(
    us: list[int], percent: int
) -> None:
    exact = sorted(us)[math.ceil(percent * len(us) / 100) - 1]

    found = percentile(merged([sketch_of(us)]), percent)

    assert abs(found - exact) <= (RELATIVE_ERROR + ROUNDING) * exact


@settings(max_examples=50, deadline=None)
@given(st.lists(times, max_size=60), st.randoms(use_true_random=False))
def test_the_bytes_are_the_same_in_whatever_order_it_was_filled(
    us: list[int], chance: object
) -> None:
    shuffled = sorted(us, key=lambda _: chance.random())  # type: ignore[attr-defined]

    assert sketch_of(shuffled) == sketch_of(us)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(times, max_size=60), max_size=6))
def test_the_bytes_are_the_same_however_often_it_was_counted_between(
    parts: list[list[int]],
) -> None:
    sketch = b""
    for part in parts:
        sketch = sketch_of(part, onto=sketch)

    assert sketch == sketch_of(us for part in parts for us in part)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(times, max_size=20), max_size=6))
def test_merging_parts_in_any_grouping_is_counting_the_whole(parts: list[list[int]]) -> None:
    sketches = [sketch_of(part) for part in parts]
    whole = merged([sketch_of(us for part in parts for us in part)])

    assert merged(sketches) == whole
    assert merged(reversed(sketches)) == whole
    assert sum(whole.values()) == sum(map(len, parts))


@pytest.mark.parametrize("times_over", [1, 255, 256, 65_535, 65_536])
def test_a_count_takes_as_many_bytes_as_it_needs_and_no_more(times_over: int) -> None:
    sketch = sketch_of([5] + [7_000] * times_over)

    assert merged([sketch]) == {bin_of(5): 1, bin_of(7_000): times_over}
    width = 1 if times_over < 2**8 else 2 if times_over < 2**16 else 4
    assert len(sketch) == 1 + 2 * (2 + width)


def test_the_bytes_are_the_documented_ones() -> None:
    sketch = sketch_of_bins([0x0102, 0x0000, 0x0102])

    assert sketch == bytes.fromhex("01 0000 0201 01 02")


@pytest.mark.parametrize("before", [1, 255, 65_535])
def test_a_count_that_outgrows_its_bytes_widens_the_others_too(before: int) -> None:
    sketch = sketch_of_bins([8], onto=sketch_of_bins([7] * before))

    assert sketch_of_bins([7], onto=sketch) == sketch_of_bins([7] * (before + 1) + [8])


def test_nothing_added_are_the_same_bytes() -> None:
    sketch = sketch_of([5, 7_000])

    assert counted(sketch) is sketch
    assert counted(b"") == b""


def test_what_is_longer_than_any_command_may_record_counts_as_the_longest() -> None:
    assert bin_of(LONGEST_US * 10**290) == bin_of(LONGEST_US)


def test_the_widest_sketch_is_bounded() -> None:
    # The promise of docs/analytics.md.
    assert bin_of(LONGEST_US) + 1 == 2_531


def test_without_times_there_is_no_percentile() -> None:
    with pytest.raises(ValueError, match="no percentile"):
        percentile(merged([b"", b""]), 50)
