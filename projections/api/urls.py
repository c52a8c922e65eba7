"""The routes that the projections room serves, for the one page of all URLs."""

from django.urls import URLPattern, path

from projections.analytics.door import TaskAnalytics
from projections.api.tasks import Tasks

tenant_routes: list[URLPattern] = [
    path("analytics/tasks", TaskAnalytics.as_view()),
    path("tasks", Tasks.as_view()),
]
