"""Django's settings. What differs between installations comes from the environment alone.

A wrong value stops the start here, with one line on stderr, whoever imports this: a management
command, an ASGI server, pytest.
"""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from agentmesh_site import api_document, log_lines
from agentmesh_site.cache_and_email import django_cache, django_email
from agentmesh_site.databases import django_database
from agentmesh_site.environment import WrongSetting, read
from agentmesh_site.local_keys import local_secret_key, local_signing_key

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"


def _given(name: str, default: str) -> str:
    return os.environ.get(name, "").strip() or default


def _database() -> dict[str, Any]:
    if not _given("DATABASE_URL", ""):
        VAR_DIR.mkdir(mode=0o700, exist_ok=True)
    return django_database(_given("DATABASE_URL", "sqlite:///var/agentmesh.sqlite3"), BASE_DIR)


try:
    ENVIRONMENT = read(os.environ)
    SECRET_KEY = ENVIRONMENT.secret_key or local_secret_key(VAR_DIR / "secret_key")
    SIGNING_KEY = ENVIRONMENT.signing_key
    if SIGNING_KEY is None and ENVIRONMENT.is_local:
        SIGNING_KEY = local_signing_key(VAR_DIR / "signing_key")
    DATABASES = {"default": _database()}
    CACHES = {"default": django_cache(_given("CACHE_URL", "locmemcache://"))}
    globals().update(django_email(_given("EMAIL_URL", "consolemail://")))
except WrongSetting as error:
    raise SystemExit(f"agentmesh: {error}") from None
except OSError as error:
    raise SystemExit(f"agentmesh: {VAR_DIR} cannot be made: {error.strerror}.") from None

DEBUG = ENVIRONMENT.debug
ALLOWED_HOSTS = list(ENVIRONMENT.allowed_hosts)
PUBLIC_URL = ENVIRONMENT.public_url
TRUSTED_PROXIES = list(ENVIRONMENT.trusted_proxies)  # read by asgi.py, not by Django

INSTALLED_APPS = [
    "agentmesh_site",
    "events",
    "agents",
    "projections",
    "rest_framework",
    "drf_spectacular_sidecar",  # the files of Swagger UI, for /api/v1/docs
    "agentmesh_site.apps.AgentMeshAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "agentmesh_site.observing.observing",
    "django.middleware.security.SecurityMiddleware",
    "agentmesh_site.middleware.security_headers",
    "agentmesh_site.middleware.StaticFilesMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "agentmesh_site.middleware.HostCheck",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "agentmesh_site.urls"
ASGI_APPLICATION = "agentmesh_site.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{validator}"}
    for validator in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "admin:login"

LANGUAGE_CODE = "en-us"
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True

# Static files are served by ourselves: straight from the packages until `collectstatic` has been
# run, so that a clone works offline at once; hashed and compressed from then on.
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
# The browser client of django-eventstream, whose app would bring tables that nobody writes to.
_EVENTSTREAM = find_spec("django_eventstream")
if _EVENTSTREAM is not None and _EVENTSTREAM.origin is not None:
    _CLIENT = Path(_EVENTSTREAM.origin).parent / "static" / "django_eventstream"
    STATICFILES_DIRS = [("django_eventstream", _CLIENT)]
_COLLECTED = (STATIC_ROOT / "staticfiles.json").is_file()
WHITENOISE_USE_FINDERS = not _COLLECTED
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "agentmesh_site.static_files.HashedFiles"
        if _COLLECTED
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

# Transport security follows from the public URL: plain http stays usable on one's own machine.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = ENVIRONMENT.https
SECURE_SSL_REDIRECT = ENVIRONMENT.https
SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics$"]  # probes come from inside, without TLS
SECURE_HSTS_SECONDS = 31_536_000 if ENVIRONMENT.https else 0
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SILENCED_SYSTEM_CHECKS = [
    # HSTS for other names (subdomains, the browsers' preload list) is their owner's decision.
    "security.W005",
    "security.W021",
]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "events.api.authentication.BearerToken",
        "events.api.authentication.BrowserSession",
    ],
    "DEFAULT_PERMISSION_CLASSES": [],  # events.api.door asks for rights
    "DEFAULT_PARSER_CLASSES": ["events.api.strict_json.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "URL_FORMAT_OVERRIDE": None,
    "DEFAULT_SCHEMA_CLASS": "events.api.openapi.autoschema.DoorSchema",
}
SPECTACULAR_SETTINGS = api_document.SETTINGS

EVENTSTREAM_STORAGE_CLASS = "projections.stream.eventstream.LogStorage"
EVENTSTREAM_CHANNELMANAGER_CLASS = "projections.stream.eventstream.PrincipalChannels"

VERIFICATION_KEYS = ENVIRONMENT.verification_keys
ENCRYPTION_KEYS = ENVIRONMENT.encryption_keys
NATS_URLS = ENVIRONMENT.nats_urls
RATE_LIMITS = ENVIRONMENT.rate_limits

METRICS_TOKEN = ENVIRONMENT.metrics_token
METRICS_DIR = ENVIRONMENT.metrics_dir
EXPECT_WORKER = ENVIRONMENT.expect_worker

LOGGING = log_lines.configuration(
    ENVIRONMENT.log_format, ENVIRONMENT.log_level, access=ENVIRONMENT.access_log
)
