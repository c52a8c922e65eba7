"""The ASGI application.

Forwarded headers are believed from AGENTMESH_TRUSTED_PROXIES only, and here rather than in the
server, so that every server treats them alike; run uvicorn with `--no-proxy-headers`.
"""

import os
from typing import cast

import django
from uvicorn._types import ASGI3Application
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentmesh_site.settings")

django.setup(set_prefix=False)

# Only now: settings and models exist once Django is set up.
from django.conf import settings  # noqa: E402

from agentmesh_site.body_limit import BodyLimit, most_bytes  # noqa: E402
from agentmesh_site.handler import Handler  # noqa: E402
from agentmesh_site.lifespan import Lifespan  # noqa: E402
from agentmesh_site.sharing_metrics import begin_to_count  # noqa: E402
from events.api.handover import HandoverDoor  # noqa: E402
from projections.stream.door import Application, StreamDoor  # noqa: E402
from projections.stream.streams import Streams  # noqa: E402

begin_to_count("web")
api_limited = BodyLimit(cast("ASGI3Application", Handler()), most_bytes)
streams = Streams()
handing_over = HandoverDoor(cast("Application", api_limited))
door = ProxyHeadersMiddleware(
    cast("ASGI3Application", StreamDoor(handing_over, streams)),
    trusted_hosts=settings.TRUSTED_PROXIES,
)
application = Lifespan(door, streams.close)
