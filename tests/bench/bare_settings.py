"""A Django with one view, on the database that ours is on."""

from agentmesh_site.settings import *  # noqa: F403
from agentmesh_site.settings import INSTALLED_APPS as _OURS

INSTALLED_APPS = [app for app in _OURS if "admin" not in app.lower()]
MIDDLEWARE = []
REST_FRAMEWORK = {}
ROOT_URLCONF = "tests.bench.bare"
