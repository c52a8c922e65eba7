"""System checks of the site as a whole."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, register
from django.db import connections

from events.checks import OURS


@register(OURS)
def refuse_atomic_requests(
    app_configs: Sequence[AppConfig] | None,
    **kwargs: Any,
) -> list[CheckMessage]:
    """An append is the outermost transaction; a request wrapped in one could never append."""
    return [
        Error(
            f"The database '{alias}' sets ATOMIC_REQUESTS, so no event could be appended: an "
            "append must be the outermost transaction.",
            hint=f"Remove ATOMIC_REQUESTS from DATABASES['{alias}'].",
            id="agentmesh.E001",
        )
        for alias in connections
        if connections.settings[alias]["ATOMIC_REQUESTS"]
    ]
