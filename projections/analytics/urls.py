"""The route of the statistics, for the one page of all URLs."""

from django.urls import URLPattern, path

from projections.analytics.door import TaskAnalytics

tenant_routes: list[URLPattern] = [path("analytics/tasks", TaskAnalytics.as_view())]
