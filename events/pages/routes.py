"""What stands in the addresses of pages. An id that nothing could have matches nothing."""

import uuid

from django.urls import register_converter


class TenantSlug:
    regex = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class AgentId(TenantSlug):
    regex = "[A-Za-z0-9_-]{3,256}"


class TaskId(TenantSlug):
    regex = "[A-Za-z0-9][A-Za-z0-9._:-]{0,255}"


class CorrelationId(TenantSlug):
    """One of those that are made here; a client's own may hold what no address holds."""

    regex = "[A-Za-z0-9_-]{8,64}"


class Id:
    """A UUID in any case; Django's own converter knows small letters only."""

    regex = "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"

    def to_python(self, value: str) -> uuid.UUID:
        return uuid.UUID(value)

    def to_url(self, value: uuid.UUID) -> str:
        return str(value)


class RuleName(TenantSlug):
    """Of an alert rule."""

    regex = "[A-Za-z0-9][A-Za-z0-9._-]{0,99}"


def register() -> None:
    """Make `<tenant:…>`, `<agent:…>`, `<task:…>`, `<trace:…>`, `<id:…>` and `<rule:…>` known to the
    URLs of the site."""
    register_converter(TenantSlug, "tenant")
    register_converter(AgentId, "agent")
    register_converter(TaskId, "task")
    register_converter(CorrelationId, "trace")
    register_converter(Id, "id")
    register_converter(RuleName, "rule")
