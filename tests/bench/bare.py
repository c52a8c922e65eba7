"""The least that Django and DRF do for a request that writes: a view, one INSERT by the ORM.

No middleware, no login, no checks. `manage.py serve` serves it with the settings
`tests.bench.bare_settings`, as it serves ours.
"""

from typing import Any

from django.db import connection, models
from django.http import HttpRequest, HttpResponse
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class Heard(models.Model):
    """About what a heartbeat says."""

    agent_id = models.CharField(max_length=256)
    success_rate = models.FloatField()
    response_time_ms = models.FloatField()
    cpu_usage_percent = models.FloatField()
    memory_usage_percent = models.FloatField()
    heard_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "bare"

    def __str__(self) -> str:
        return self.agent_id


def make_table() -> None:
    with connection.schema_editor() as editor:
        editor.create_model(Heard)


class Heartbeat(APIView):
    authentication_classes = ()
    permission_classes = ()

    def post(self, request: Request, agent_id: str) -> Response:
        said: Any = request.data
        heard = Heard(agent_id=agent_id, **said)
        heard.save(force_insert=True)
        return Response({"id": heard.pk, "agent_id": agent_id, **said}, status=201)


def live(_: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


urlpatterns = [
    path("agents/<agent_id>/heartbeat", Heartbeat.as_view()),
    path("health/live", live),
]
