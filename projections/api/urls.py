"""The routes that the projections room serves, for the one page of all URLs."""

from django.urls import URLPattern, path

from projections.analytics.door import TaskAnalytics
from projections.api.alert_rules import AlertRules, OneAlertRule, RotateSecret
from projections.api.alerts import Acknowledge, Alerts, OneAlert, Resolve
from projections.asyncapi.door import AsyncAPI

api_routes: list[URLPattern] = [path("asyncapi.json", AsyncAPI.as_view())]
tenant_routes: list[URLPattern] = [
    path("alerts", Alerts.as_view()),
    path("alerts/<alert_id>", OneAlert.as_view()),
    path("alerts/<alert_id>/acknowledge", Acknowledge.as_view()),
    path("alerts/<alert_id>/resolve", Resolve.as_view()),
    path("alert-rules", AlertRules.as_view()),
    path("alert-rules/<name>", OneAlertRule.as_view()),
    path("alert-webhooks/rotate-secret", RotateSecret.as_view()),
    path("analytics/tasks", TaskAnalytics.as_view()),
]
