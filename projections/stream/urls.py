"""The route of the stream, for the one page of all URLs."""

from django.urls import URLPattern, path

from projections.stream.opening import Stream

# Only the opening: `projections.stream.door` serves what follows.
tenant_routes: list[URLPattern] = [path("stream", Stream.as_view())]
