"""The parts of a chart of which there are hundreds: joined here, since as many turns of a
template's loop took most of a page's time."""

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from events.pages.charts.charts import Chart

register = template.Library()


@register.simple_tag
def chart_spots(chart: Chart) -> SafeString:
    return mark_safe(  # noqa: S308 -- escaped
        "\n".join(
            f'<rect class="chart-spot" x="{spot.x:.2f}" width="{spot.width:.2f}" height="100">'
            f"<title>{escape(spot.words)}</title></rect>"
            for spot in chart.spots
        )
    )


@register.simple_tag
def chart_rows(chart: Chart) -> SafeString:
    return mark_safe(  # noqa: S308 -- escaped
        "\n".join(
            f'<tr><th scope="row">{escape(line.when)}</th>'
            + "".join(f'<td class="num">{escape(cell)}</td>' for cell in line.cells)
            + "</tr>"
            for line in chart.lines
        )
    )
