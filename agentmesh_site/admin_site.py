"""Who comes in through the browser: whoever may enter a tenant.

Signing in and out, changing a password and the protection of every page are Django's own admin.
What a person sees and may do inside follows from the membership (`events.access`); `is_staff` and
Django's model permissions mean nothing here, and no model is registered.
"""

from http import HTTPStatus
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache

from events.access import may_enter_somewhere
from events.ratelimits import limiter
from events.ratelimits.limiter import Standing
from events.ratelimits.scopes import Scope


class SignInForm(AuthenticationForm):
    """Django's form; a right password alone opens nothing without a tenant to enter."""

    def confirm_login_allowed(self, user: User) -> None:
        super().confirm_login_allowed(user)
        if not may_enter_somewhere(user):
            raise ValidationError(
                "You are a member of no tenant. Ask an admin of one to add you.", code="no_tenant"
            )


class AgentMeshAdminSite(AdminSite):
    """The door. Its pages stand in `agentmesh_site.urls`, each wrapped in `admin_view`."""

    site_title = "AgentMesh"
    site_header = "AgentMesh"
    index_title = "Dashboard"
    site_url = None
    enable_nav_sidebar = False
    login_form = SignInForm

    def has_permission(self, request: HttpRequest) -> bool:
        return may_enter_somewhere(request.user)

    @method_decorator(never_cache)
    @method_decorator(login_not_required)
    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Django's; an attempt too many is refused before a password is looked at, right or wrong:
        that look is meant to take long."""
        if request.method == "POST":
            standing = limiter.spend(Scope.LOGIN, limiter.caller_at(request))
            if standing is not None and not standing.is_allowed:
                return self._not_now(request, standing)
        return super().login(request, extra_context)

    def _not_now(self, request: HttpRequest, standing: Standing) -> HttpResponse:
        wait = standing.retry_after_seconds
        form = SignInForm(request, initial={"username": request.POST.get("username", "")})
        context = {
            **self.each_context(request),
            "title": "Sign in",
            "app_path": request.get_full_path(),
            "next": request.POST.get("next", ""),
            "form": form,
            "wait": wait,
        }
        return TemplateResponse(
            request,
            "admin/login.html",
            context,
            status=HTTPStatus.TOO_MANY_REQUESTS,
            headers={"Retry-After": str(wait)},
        )
