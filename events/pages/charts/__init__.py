"""Charts as server-side SVG: from series to shapes here, from shapes to a picture in `charts/`.

    hours = Times(since, until, begins, HOUR)
    tasks = charts.stacked("tasks", "Tasks that ended", hours, COUNT,
                           [Series("completed", "completed", [3, 0, 7, …]), …])
    took = charts.lines("times", "Execution time", hours, MILLISECONDS,
                        [Series("p50", "p50", [120, None, 180, …]), …])
    {% include "charts/chart.html" with chart=tasks %}

A value that is None is not known: a gap in the picture, a dash in the table behind it, never 0.
A page that shows charts loads `agentmesh/charts.css`.
"""
