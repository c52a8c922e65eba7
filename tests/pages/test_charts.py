"""The chart kit: what is drawn of which values, and the table behind it. No database."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.template.loader import render_to_string

from events.pages.charts import charts, shapes
from events.pages.charts.charts import Chart, Series
from events.pages.charts.times import Times
from events.pages.charts.units import COUNT, MILLISECONDS, NOTHING, PERCENT, Unit, scale
from tests.pages.html import what_the_policy_forbids

HOUR = timedelta(hours=1)
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def hours(number: int, since: datetime = NOON, **details: Any) -> Times:
    begins = [since + each * HOUR for each in range(number)]
    return Times(since, since + number * HOUR, begins, HOUR, **({"zone": UTC} | details))


def lines(values: Sequence[float | None], unit: Unit = COUNT) -> Chart:
    return charts.lines("c", "Chart", hours(len(values)), unit, [Series("p50", "p50", values)])


def path_of(chart: Chart, kind: str, look: str) -> str:
    return next(each.path for each in chart.shapes if (each.kind, each.look) == (kind, look))


@pytest.mark.parametrize(
    ("highest", "unit", "ticks"),
    [
        (0, COUNT, ["1", "0"]),
        (1, COUNT, ["1", "0"]),
        (3, COUNT, ["3", "2", "1", "0"]),
        (9, COUNT, ["10", "5", "0"]),
        (1_234, COUNT, ["1,500", "1,000", "500", "0"]),
        (0.2, PERCENT, ["100 %", "75 %", "50 %", "25 %", "0 %"]),
        (0.3, MILLISECONDS, ["0.3 ms", "0.2 ms", "0.1 ms", "0"]),
        (900, MILLISECONDS, ["1 s", "750 ms", "500 ms", "250 ms", "0"]),
        (47_000, MILLISECONDS, ["1 min", "45 s", "30 s", "15 s", "0"]),
        (9_000_000, MILLISECONDS, ["3 h", "2 h", "1 h", "0"]),
    ],
)
def test_an_axis_begins_at_0_and_has_few_round_ticks(
    highest: float, unit: Unit, ticks: list[str]
) -> None:
    found = scale(highest, unit)

    assert [unit.short(each) for each in found.ticks] == ticks
    assert found.top >= highest


@pytest.mark.parametrize("unit", [COUNT, MILLISECONDS])
def test_no_value_is_above_its_axis_or_lost_at_the_foot_of_it(unit: Unit) -> None:
    for highest in [10.0**power * digit for power in range(-6, 25) for digit in (1, 3, 9.99)]:
        found = scale(highest, unit)

        assert found.top >= highest
        assert found.steps <= 5
        assert found.share(highest) > 0.4 or found.top == unit.smallest


def test_nearly_all_is_not_all_and_a_little_is_not_nothing() -> None:
    told = [PERCENT.tell(value) for value in (1, 0.99999, 0.5, 0.00001, 0, None)]

    assert told == ["100 %", "99.9 %", "50 %", "0.1 %", "0 %", NOTHING]


def test_where_a_value_is_not_known_the_line_has_a_gap_and_the_table_a_dash() -> None:
    chart = lines([4, 8, None, 8, None, 4])

    assert path_of(chart, "line", "p50").count("M") == 1
    assert path_of(chart, "dots", "p50").count("M") == 2
    assert [line.cells for line in chart.lines] == [
        ["4"],
        ["8"],
        [NOTHING],
        ["8"],
        [NOTHING],
        ["4"],
    ]
    assert chart.words == "Chart, Wed 4 Mar, 12:00 to Wed 4 Mar, 17:00: p50 between 4 and 8."


def test_a_value_alone_between_two_gaps_is_a_dot() -> None:
    assert shapes.dots([0.1, 0.5, 0.9], [None, 0.5, None]) == "M500 50h0"
    assert shapes.line([0.1, 0.5, 0.9], [None, 0.5, None]) == ""


def test_a_line_goes_through_the_middle_of_each_stretch_of_time() -> None:
    assert path_of(lines([0, 4]), "line", "p50") == "M250 100L750 0"


def test_below_one_line_lies_its_area_and_below_several_none() -> None:
    two = [Series("p50", "p50", [1, 2]), Series("p95", "p95", [2, 3])]

    assert path_of(lines([0, 4]), "area", "p50") == "M250 100L750 0V100H250Z"
    assert {each.kind for each in charts.lines("c", "C", hours(2), COUNT, two).shapes} == {"line"}


def test_bars_stand_on_each_other_and_an_empty_one_is_not_drawn() -> None:
    chart = charts.stacked(
        "c",
        "Tasks",
        hours(2),
        COUNT,
        [Series("completed", "completed", [3, 0]), Series("failed", "failed", [1, 0])],
    )

    assert path_of(chart, "bars", "completed") == "M50 100h400V25h-400Z"
    assert path_of(chart, "bars", "failed") == "M50 25h400V0h-400Z"
    assert [line.cells for line in chart.lines] == [["3", "1"], ["0", "0"]]


def test_a_chart_without_any_value_says_so_instead_of_drawing_an_axis() -> None:
    html = render_to_string("charts/chart.html", {"chart": lines([None, None]), "empty": "None."})

    assert "None." in html
    assert "<svg" not in html


def test_bars_of_nothing_but_zeros_are_none() -> None:
    chart = charts.stacked("c", "Tasks", hours(2), COUNT, [Series("failed", "failed", [0, 0])])

    assert chart.is_empty


def test_times_are_told_in_the_zone_of_whoever_looks() -> None:
    times = hours(3, zone=ZoneInfo("Asia/Kolkata"))

    assert times.labels[0] == "Wed 4 Mar, 17:30"
    assert [tick.label for tick in times.ticks()][:2] == ["17:30", "18:00"]


def test_a_day_that_begins_is_named_and_stays_where_there_is_little_room() -> None:
    ticks = hours(24, NOON).ticks()

    assert [tick.label for tick in ticks] == [
        "12:00", "15:00", "18:00", "21:00", "5 Mar", "03:00", "06:00", "09:00", "12:00"
    ]  # fmt: skip
    assert not next(tick for tick in ticks if tick.label == "5 Mar").is_minor
    assert [tick.is_minor for tick in ticks] == [bool(number % 2) for number in range(9)]


def test_on_the_day_that_clocks_change_ticks_stay_at_round_hours() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    midnight = datetime(2026, 3, 29, tzinfo=berlin).astimezone(UTC)

    ticks = hours(23, midnight, zone=berlin).ticks()

    assert [tick.label for tick in ticks] == [
        "29 Mar", "03:00", "06:00", "09:00", "12:00", "15:00", "18:00", "21:00", "30 Mar"
    ]  # fmt: skip
    assert ticks[1].x == pytest.approx(100 * 2 / 23, abs=0.01)


def test_what_is_not_over_yet_is_told_as_so_far() -> None:
    times = hours(2, now=NOON + HOUR + timedelta(minutes=5))

    assert times.labels == [
        "Wed 4 Mar, 12:00",
        "Wed 4 Mar, 13:00 so far",
    ]


def test_single_moments_share_the_room_between_them() -> None:
    at = [NOON, NOON + HOUR / 4, NOON + HOUR]
    times = Times(NOON, NOON + HOUR, at, zone=UTC)

    assert times.stretches() == [(0.0, 0.125), (0.125, 0.5), (0.625, 0.375)]
    assert times.labels[1] == "Wed 4 Mar, 12:15:00"
    assert Times(NOON, NOON + HOUR, [], zone=UTC).stretches() == []


def test_a_chart_is_named_told_and_has_its_table_and_nothing_that_the_policy_forbids() -> None:
    chart = lines([120, None, 180.5], MILLISECONDS)

    html = render_to_string("charts/chart.html", {"chart": chart})

    assert what_the_policy_forbids(html) == []
    assert f'role="img" aria-label="{chart.words}"' in html
    assert f"<title>Wed 4 Mar, 13:00: p50 {NOTHING}</title>" in html
    assert html.count("<tr>") == 4
    assert '<td class="num">180 ms</td>' in html


def test_what_people_wrote_stays_text() -> None:
    series = [Series("<b>x</b>", "p50", [1])]

    html = render_to_string(
        "charts/chart.html", {"chart": charts.lines("c", "<i>", hours(1), COUNT, series)}
    )

    assert "<b>" not in html
    assert "<i>" not in html


def test_a_sparkline_says_what_it_shows() -> None:
    spark = charts.sparkline("Tasks", "completed", [1, None, 1_500, 4])

    assert spark.words == "Tasks: at most 1,500, last 4"
    assert spark.line.endswith("M0 99.93h0")
    assert charts.sparkline("Tasks", "completed", []).words == "Tasks: no data"
    assert spark.words in render_to_string("charts/sparkline.html", {"spark": spark})
