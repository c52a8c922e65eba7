"""How execution times are spread, to within 1 %: a DDSketch (Masson, Rim and Lee, VLDB 2019).

    growing = growing, bin_of(1_200_000)
    percentile(merged([counted(growing), …]), 95)

A sketch counts times in bins whose bounds grow by a constant factor, so that a bin's middle is
within 1 % of all in it. Bins are added one by one: whatever was counted first, or merged with what,
the result is the same to the byte. Times are whole microseconds; 0 has a bin of its own.

The bytes: how wide a count is (1, 2, 4 or 8), the numbers of the bins that hold anything, in order,
two bytes each, then their counts; all little-endian, and as narrow as the largest count allows.
Nothing counted is no bytes.

While a batch is folded a sketch grows by pairs, of what it was and one more bin, and is counted
once at the end: pairs cost next to nothing, and what they were made from stays as it was.
"""

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping

from ddsketch.mapping import LogarithmicMapping

Growing = bytes | tuple["Growing", int]

RELATIVE_ERROR = 0.01
# The longest time that a command may record. What an imported log has beyond counts as this.
LONGEST_US = (2**63 - 1) * 1000

_mapping = LogarithmicMapping(RELATIVE_ERROR)
_LAST_BIN: int = 1 + _mapping.key(LONGEST_US)
_BIN = "H"
_BIN_BYTES = 2
_COUNT = {1: "B", 2: "H", 4: "I", 8: "Q"}


def bin_of(us: int) -> int:
    """The bin that counts this time."""
    if us == 0:
        return 0
    found: int = 1 + _mapping.key(us)
    return min(found, _LAST_BIN)


def middle_of(number: int) -> float:
    """The time, in microseconds, that stands for all in a bin."""
    return _mapping.value(number - 1) if number else 0.0


def counted(growing: Growing) -> bytes:
    """The sketch with what has been added to it; the same bytes for one to which nothing was."""
    if isinstance(growing, bytes):
        return growing
    added: dict[int, int] = {}
    while not isinstance(growing, bytes):
        growing, number = growing
        added[number] = added.get(number, 0) + 1
    bins, counts = _parts(growing)
    for number, times in added.items():
        place = bisect_left(bins, number)
        if place == len(bins) or bins[place] != number:
            bins.insert(place, number)
            counts.insert(place, 0)
        count = counts[place] + times
        while count >= 256**counts.itemsize:
            counts = array(_COUNT[2 * counts.itemsize], counts)
        counts[place] = count
    return _bytes_of(bins, counts)


def merged(sketches: Iterable[bytes]) -> dict[int, int]:
    """How many times each bin holds in all of them."""
    total: dict[int, int] = {}
    for sketch in sketches:
        for number, count in zip(*_parts(sketch), strict=True):
            total[number] = total.get(number, 0) + count
    return total


def percentile(bins: Mapping[int, int], percent: int) -> float:
    """The nearest-rank percentile, in microseconds, within RELATIVE_ERROR of the exact one.

    Of n times in order it is the one at place ⌈percent · n / 100⌉. Raises ValueError without any.
    """
    place = -(-percent * sum(bins.values()) // 100)
    for number in sorted(bins):
        place -= bins[number]
        if place <= 0:
            return middle_of(number)
    raise ValueError("Nothing was counted, so there is no percentile.")


def _parts(sketch: bytes) -> "tuple[array[int], array[int]]":
    if not sketch:
        return array(_BIN), array(_COUNT[1])
    width = sketch[0]
    middle = 1 + (len(sketch) - 1) // (_BIN_BYTES + width) * _BIN_BYTES
    bins, counts = array(_BIN, sketch[1:middle]), array(_COUNT[width], sketch[middle:])
    if sys.byteorder == "big":
        bins.byteswap()
        counts.byteswap()
    return bins, counts


def _bytes_of(bins: "array[int]", counts: "array[int]") -> bytes:
    if sys.byteorder == "big":
        bins.byteswap()
        counts.byteswap()
    return bytes((counts.itemsize,)) + bins.tobytes() + counts.tobytes()
