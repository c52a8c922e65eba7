"""An installation's own settings: AgentMesh's, and the apps that it adds."""

from agentmesh_site.settings import *  # noqa: F403 -- an installation's settings are ours and more
from agentmesh_site.settings import INSTALLED_APPS as OURS

INSTALLED_APPS = [*OURS, "examples.pager", "examples.metrics"]
