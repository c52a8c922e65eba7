"""Who comes in through the browser: whoever may enter a tenant.

Signing in and out, changing a password and the protection of every page are Django's own admin.
What a person sees and may do inside follows from the membership (`events.access`); `is_staff` and
Django's model permissions mean nothing here, and no model is registered.
"""

from django.contrib.admin import AdminSite
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from events.access import may_enter_somewhere


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
