"""The routes that the projections room serves, for the one page of all URLs."""

from django.urls import URLPattern, path

from projections.api.tasks import Tasks

tenant_routes: list[URLPattern] = [path("tasks", Tasks.as_view())]
