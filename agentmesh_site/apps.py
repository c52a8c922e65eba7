from django.apps import AppConfig
from django.contrib.admin.apps import SimpleAdminConfig


class AgentMeshSiteConfig(AppConfig):
    name = "agentmesh_site"
    verbose_name = "AgentMesh"
    default = True

    def ready(self) -> None:
        from agentmesh_site import checks  # noqa: F401 -- importing registers them


class AgentMeshAdminConfig(SimpleAdminConfig):
    """Django's admin around our site.

    The simple config discovers and registers nothing: a change form would write behind the log.
    """

    default = False
    default_site = "agentmesh_site.admin_site.AgentMeshAdminSite"
