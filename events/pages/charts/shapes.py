"""From values to the paths of an SVG that is WIDTH by HEIGHT and stretched to its place.

Pure geometry. x and y are shares, 0 to 1, from the left and from below.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 1000.0, 100.0
BAR = 0.8  # of its stretch; the rest keeps it from its neighbour


class Point(NamedTuple):
    x: float
    y: float


def runs(xs: Sequence[float], ys: Sequence[float | None]) -> Iterator[list[Point]]:
    """The values between the gaps."""
    run: list[Point] = []
    for x, y in zip(xs, ys, strict=True):
        if y is not None:
            run.append(Point(x, y))
        elif run:
            yield run
            run = []
    if run:
        yield run


def line(xs: Sequence[float], ys: Sequence[float | None]) -> str:
    """A line that stops at each gap."""
    return "".join(_drawn(run) for run in runs(xs, ys) if len(run) > 1)


def dots(xs: Sequence[float], ys: Sequence[float | None]) -> str:
    """The values alone between two gaps: lines of no length, which round ends make dots."""
    return "".join(f"{_drawn(run)}h0" for run in runs(xs, ys) if len(run) == 1)


def area(xs: Sequence[float], ys: Sequence[float | None]) -> str:
    """What lies below the line; below a value alone there is nothing."""
    return "".join(f"{_drawn(run)}V{_y(0)}H{_x(run[0].x)}Z" for run in runs(xs, ys) if len(run) > 1)


def bars(stretches: Iterable[tuple[float, float]], spans: Iterable[tuple[float, float]]) -> str:
    """A bar in each stretch (begin, width), from one y to the other; none where they are equal."""
    return "".join(
        f"M{_x(begin + width * (1 - BAR) / 2)} {_y(low)}"
        f"h{_x(width * BAR)}V{_y(high)}h-{_x(width * BAR)}Z"
        for (begin, width), (low, high) in zip(stretches, spans, strict=True)
        if high > low
    )


def _drawn(run: Sequence[Point]) -> str:
    return "M" + "L".join(f"{_x(each.x)} {_y(each.y)}" for each in run)


def _x(share: float) -> str:
    return f"{share * WIDTH:.5g}"


def _y(share: float) -> str:
    return f"{(1 - share) * HEIGHT:.4g}"
