"""GET /api/v1/docs: the document of the API for people, offline and under the strict policy."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Swagger UI over openapi.json. No login, as the document needs none; what is tried out there
    is asked with a token, or as whoever is signed in."""
    return render(request, "api_docs.html", {"title": "API"})
