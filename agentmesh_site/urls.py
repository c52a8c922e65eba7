"""Every URL on one page."""

from collections.abc import Callable

from django.contrib import admin
from django.http import HttpResponseBase
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.generic import RedirectView

from agentmesh_site import api_docs, event_page, health, metrics, permalinks, task_page
from agentmesh_site.agent_page import agent_page
from agentmesh_site.dashboard import views as dashboard
from agentmesh_site.integrations import views as integrations
from agentmesh_site.tasks import AgentTasks, TenantTasks
from agents.api.urls import tenant_routes as agent_routes
from agents.pages import (
    bulk,
    bulk_results,
    creation,
    erasure,
    fleet_list,
    importing,
    new_task,
)
from agents.pages import views as agents
from agents.pages.time_machine import time_machine
from events.api.problem import no_such_path
from events.api.problem_types import problem_type
from events.api.urls import api_routes as plain_routes
from events.api.urls import tenant_routes as event_routes
from events.pages import people, routes, schemas, settings, subscriptions, tokens, zones
from events.pages.proof import bundles, checkpoints, overview, verifications
from events.pages.timeline import keeping
from events.pages.timeline import views as timeline
from events.pages.timeline.completions import completions
from events.pages.timeline.exporting import export_shown
from projections.api.urls import api_routes as open_projection_routes
from projections.api.urls import tenant_routes as projection_routes
from projections.pages import alert_rules, alerts, retention, tasks
from projections.stream.urls import tenant_routes as stream_routes

routes.register()
AGENT = "t/<tenant:tenant>/agents/<agent:agent_id>/"
behind_the_door = admin.site.admin_view  # signed in, entered somewhere, CSRF checked, never cached


def page(route: str, view: Callable[..., HttpResponseBase], name: str) -> URLPattern:
    return path(route, behind_the_door(view), name=name)


RULES = "t/<tenant:tenant>/settings/alert-rules/"
RULE = f"{RULES}<rule:name>/"
_SUBSCRIPTIONS = "t/<tenant:tenant>/integrations/subscriptions"

# Not `admin.site.urls`: Django's would bring in a change form for whatever model is registered.
admin_pages = [
    path("login/", admin.site.login, name="login"),
    # Not behind the door: whoever may enter nowhere any more may still leave.
    path("logout/", admin.site.logout, name="logout"),
    page("password_change/", admin.site.password_change, "password_change"),
    page("password_change/done/", admin.site.password_change_done, "password_change_done"),
    page("", dashboard.index, "index"),
    page("tenants/", dashboard.tenants, "tenants"),
    page("times/", zones.choose, "times"),
    page("t/<tenant:tenant>/", dashboard.dashboard, "dashboard"),
    page("t/<tenant:tenant>/agents/", fleet_list.agent_list, "agents"),
    page("t/<tenant:tenant>/new-agent/", creation.create_agent, "create_agent"),
    page("t/<tenant:tenant>/bulk/", bulk.rehearsal, "bulk"),
    page("t/<tenant:tenant>/bulk/do/", bulk.carry_out, "bulk_do"),
    page("t/<tenant:tenant>/bulk/<trace:correlation>/", bulk_results.results, "bulk_result"),
    page("t/<tenant:tenant>/import/", importing.check, "import_agents"),
    page("t/<tenant:tenant>/import/do/", importing.create, "import_do"),
    page("t/<tenant:tenant>/import/sample.csv", importing.sample, "import_sample"),
    page(AGENT, agent_page, "agent"),
    page(
        "t/<tenant:tenant>/agents/<agent:agent_id>/timeline/",
        agents.agent_timeline,
        "agent_timeline",
    ),
    page(f"{AGENT}history/", time_machine, "agent_history"),
    page(f"{AGENT}<slug:command>/", agents.command, "command"),
    page("t/<tenant:tenant>/tasks/", tasks.task_list, "tasks"),
    page("t/<tenant:tenant>/new-task/", new_task.new_task, "new_task"),
    page("t/<tenant:tenant>/tasks/<task:task_id>/", task_page.task_page, "task"),
    page("t/<tenant:tenant>/tasks/<task:task_id>/erase/", erasure.erase_task, "erase_task"),
    page("t/<tenant:tenant>/events/", timeline.event_list, "events"),
    page("t/<tenant:tenant>/events/newer/", timeline.newer_rows, "newer_events"),
    page("t/<tenant:tenant>/events/completions/", completions, "event_completions"),
    page("t/<tenant:tenant>/events/export/", export_shown, "export_events"),
    page("t/<tenant:tenant>/events/views/", keeping.save_view, "save_event_view"),
    page("t/<tenant:tenant>/events/views/<id:view_id>/", keeping.change_view, "change_event_view"),
    page("t/<tenant:tenant>/events/<id:event_id>/", event_page.event_page, "event"),
    page("t/<tenant:tenant>/alerts/", alerts.alert_list, "alerts"),
    page("t/<tenant:tenant>/alerts/acknowledge/", alerts.acknowledge_several, "acknowledge_alerts"),
    page("t/<tenant:tenant>/alerts/<id:alert_id>/", alerts.alert_page, "alert"),
    page(
        "t/<tenant:tenant>/alerts/<id:alert_id>/acknowledge/",
        alerts.acknowledge,
        "acknowledge_alert",
    ),
    page("t/<tenant:tenant>/alerts/<id:alert_id>/resolve/", alerts.resolve, "resolve_alert"),
    page("t/<tenant:tenant>/proof/", overview.overview, "proof"),
    page("t/<tenant:tenant>/proof/verifications/", verifications.verifications, "verifications"),
    page(
        "t/<tenant:tenant>/proof/verifications/<id:verification_id>/",
        verifications.verification,
        "verification",
    ),
    page("t/<tenant:tenant>/proof/checkpoints/", checkpoints.checkpoint_list, "checkpoints"),
    page(
        "t/<tenant:tenant>/proof/checkpoints/<int:number>/",
        checkpoints.checkpoint_note,
        "checkpoint_note",
    ),
    page("t/<tenant:tenant>/proof/bundle/", bundles.bundle, "bundle"),
    page("t/<tenant:tenant>/members/", people.member_list, "members"),
    page("t/<tenant:tenant>/members/add/", people.add_member, "add_member"),
    page("t/<tenant:tenant>/members/change/", people.change_member, "change_member"),
    page("t/<tenant:tenant>/settings/", settings.general, "settings"),
    page("t/<tenant:tenant>/settings/payloads/", settings.confidential, "confidential_payloads"),
    page("t/<tenant:tenant>/settings/retention/", retention.retention, "retention"),
    page(RULES, alert_rules.rule_list, "alert_rules"),
    page("t/<tenant:tenant>/settings/new-rule/", alert_rules.create_rule, "create_alert_rule"),
    page(RULE, alert_rules.rule_page, "alert_rule"),
    page(f"{RULE}switch/", alert_rules.switch_rule, "switch_alert_rule"),
    page(f"{RULE}delete/", alert_rules.delete_rule, "delete_alert_rule"),
    page(f"{RULE}rotate-secret/", alert_rules.rotate_secret, "rotate_webhook_secret"),
    page("t/<tenant:tenant>/integrations/", integrations.overview, "integrations"),
    page("t/<tenant:tenant>/integrations/relay/", integrations.relay, "relay"),
    page("t/<tenant:tenant>/integrations/schemas/", schemas.schema_list, "schemas"),
    page("t/<tenant:tenant>/integrations/schemas/<str:type>/", schemas.schema_page, "schema"),
    page(
        "t/<tenant:tenant>/integrations/schemas/<str:type>/<str:version>/",
        schemas.schema_page,
        "schema_version",
    ),
    page(f"{_SUBSCRIPTIONS}/", subscriptions.subscription_list, "subscriptions"),
    page(f"{_SUBSCRIPTIONS}/<str:name>/", subscriptions.subscription_page, "subscription"),
    page(f"{_SUBSCRIPTIONS}/<str:name>/retry/", subscriptions.retry, "retry_parked"),
    page(f"{_SUBSCRIPTIONS}/<str:name>/skip/", subscriptions.skip, "skip_parked"),
    page(f"{_SUBSCRIPTIONS}/<str:name>/resume/", subscriptions.resume, "resume_subscription"),
    page(f"{_SUBSCRIPTIONS}/<str:name>/rebuild/", subscriptions.rebuild, "rebuild"),
    page("t/<tenant:tenant>/tokens/", tokens.token_list, "tokens"),
    page("t/<tenant:tenant>/tokens/issue/", tokens.issue_token, "issue_token"),
    page("t/<tenant:tenant>/tokens/<id:token_id>/revoke/", tokens.revoke_token, "revoke_token"),
    re_path(r"(?P<url>.*)$", behind_the_door(admin.site.catch_all_view), name="not_found"),
]

tenant_routes = [
    *agent_routes,
    path("agents/<agent_id>/tasks", AgentTasks.as_view()),
    path("tasks", TenantTasks.as_view()),
    *event_routes,
    *projection_routes,
    *stream_routes,
]
api_routes: list[URLPattern | URLResolver] = [
    *plain_routes,
    *open_projection_routes,
    path("tenants/<tenant>/", include(tenant_routes)),
]

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", include((admin_pages, "admin"), namespace="admin")),
    path(
        "t/<tenant:tenant>/agents/<agent:agent_id>",
        behind_the_door(permalinks.agent),
        name="agent_permalink",
    ),
    path("t/<tenant:tenant>/events/<id:event_id>", behind_the_door(permalinks.event)),
    path("problems/<slug:code>", problem_type),
    path("health/live", health.live),
    path("health/ready", health.ready),
    path("metrics", metrics.page),
    path("api/v1/docs", api_docs.page, name="api_docs"),
    path("api/v1/", include(api_routes)),
    re_path(r"^api(/|$)", no_such_path),  # with a trailing slash too: nothing is redirected
]

handler400 = "agentmesh_site.failures.bad_request"
handler500 = "agentmesh_site.failures.server_error"
