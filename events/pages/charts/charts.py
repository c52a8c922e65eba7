"""The kinds of charts: what `charts/chart.html` and `charts/sparkline.html` draw."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from events.pages.charts import shapes
from events.pages.charts.times import Tick, Times
from events.pages.charts.units import COUNT, Scale, Unit, scale


@dataclass(frozen=True, slots=True)
class Series:
    """look: the class that `charts.css` colours, such as completed, failed, p50, p95, rate.

    values: one for each of the chart's times, None where it is not known.
    """

    name: str
    look: str
    values: Sequence[float | None]

    @property
    def known(self) -> list[float]:
        return [value for value in self.values if value is not None]


class Shape(NamedTuple):
    """kind: line, dots, area or bars."""

    kind: str
    look: str
    path: str


class Mark(NamedTuple):
    """A horizontal line of the grid and its name; y: 0 to 100, from above."""

    y: float
    label: str


class Spot(NamedTuple):
    """What is told where the pointer stands: one column of the picture."""

    x: float
    width: float
    words: str


class Line(NamedTuple):
    """Of the table: when, and the values of the series."""

    when: str
    cells: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """chart_id: in the page. words: the whole in a sentence, for those who do not see it."""

    chart_id: str
    title: str
    words: str
    legend: Sequence[Series]
    shapes: Sequence[Shape]
    marks: Sequence[Mark]
    ticks: Sequence[Tick]
    spots: Sequence[Spot]
    lines: Sequence[Line]
    is_empty: bool


@dataclass(frozen=True, slots=True)
class Sparkline:
    """A line without axes, for a row of a table. words: what it says."""

    words: str
    look: str
    line: str
    area: str


def lines(chart_id: str, title: str, times: Times, unit: Unit, series: Sequence[Series]) -> Chart:
    """A line for each series; below a single one the area, too."""
    measure = scale(_highest(each.known for each in series), unit)
    xs = times.middles()
    drawn = []
    for each in series:
        ys = [None if value is None else measure.share(value) for value in each.values]
        if len(series) == 1:
            drawn.append(Shape("area", each.look, shapes.area(xs, ys)))
        drawn.append(Shape("line", each.look, shapes.line(xs, ys)))
        drawn.append(Shape("dots", each.look, shapes.dots(xs, ys)))
    is_empty = not any(each.known for each in series)
    return _chart(chart_id, title, times, unit, series, measure, drawn, is_empty=is_empty)


def stacked(chart_id: str, title: str, times: Times, unit: Unit, series: Sequence[Series]) -> Chart:
    """Bars, those of the first series at the bottom. Nothing but zeros is empty."""
    sums = [
        [value or 0 for value in column]
        for column in zip(*(each.values for each in series), strict=True)
    ]
    measure = scale(_highest([sum(column)] for column in sums), unit)
    stretches = times.stretches()
    drawn = [
        Shape(
            "bars",
            each.look,
            shapes.bars(
                stretches,
                [
                    (
                        measure.share(sum(column[:number])),
                        measure.share(sum(column[: number + 1])),
                    )
                    for column in sums
                ],
            ),
        )
        for number, each in enumerate(series)
    ]
    is_empty = not any(map(any, sums))
    return _chart(chart_id, title, times, unit, series, measure, drawn, is_empty=is_empty)


def sparkline(
    name: str, look: str, values: Sequence[float | None], unit: Unit = COUNT
) -> Sparkline:
    """Evenly spaced values; the words name the highest and the last."""
    known = [value for value in values if value is not None]
    measure = scale(max(known, default=0), unit)
    step = 1 / max(len(values) - 1, 1)
    xs = [number * step for number in range(len(values))]
    ys = [None if value is None else measure.share(value) for value in values]
    said = f"at most {unit.tell(max(known))}, last {unit.tell(known[-1])}" if known else "no data"
    line = shapes.line(xs, ys) + shapes.dots(xs, ys)
    return Sparkline(f"{name}: {said}", look, line, shapes.area(xs, ys))


def _chart(
    chart_id: str,
    title: str,
    times: Times,
    unit: Unit,
    series: Sequence[Series],
    measure: Scale,
    drawn: Sequence[Shape],
    *,
    is_empty: bool,
) -> Chart:
    rows = [
        Line(times.label(number), [unit.tell(each.values[number]) for each in series])
        for number in range(len(times.begins))
    ]
    return Chart(
        chart_id=chart_id,
        title=title,
        words=_words(title, rows, unit, series),
        legend=series,
        shapes=[shape for shape in drawn if shape.path],
        marks=[
            Mark(100 * (1 - measure.share(value)), unit.short(value)) for value in measure.ticks
        ],
        ticks=times.ticks(),
        spots=[
            Spot(
                round(begin * shapes.WIDTH, 2),
                round(width * shapes.WIDTH, 2),
                f"{row.when}: " + ", ".join(map(_told, row.cells, series)),
            )
            for (begin, width), row in zip(times.stretches(), rows, strict=True)
        ],
        lines=rows,
        is_empty=is_empty,
    )


def _told(cell: str, series: Series) -> str:
    return f"{series.name} {cell}"


def _words(title: str, rows: Sequence[Line], unit: Unit, series: Sequence[Series]) -> str:
    if not rows:
        return f"{title}: no data."
    said = [
        f"{each.name} between {unit.tell(min(each.known))} and {unit.tell(max(each.known))}"
        if each.known
        else f"{each.name} unknown"
        for each in series
    ]
    return f"{title}, {rows[0].when} to {rows[-1].when}: {', '.join(said)}."


def _highest(groups: Iterable[Sequence[float]]) -> float:
    return max((value for group in groups for value in group), default=0)
