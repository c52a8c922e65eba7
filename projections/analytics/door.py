"""GET /analytics/tasks: how tasks ended in a range of time."""

from datetime import datetime, timedelta
from typing import Any, ClassVar

import msgspec
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from events.access import Right
from events.api.door import SEQ, json_response
from events.api.openapi.operation import Operation, Parameter
from events.api.openapi.parameters import named
from events.api.openapi.shape import (
    AMOUNT,
    COUNT,
    MOMENT,
    Shape,
    choice,
    number,
    or_null,
    some_of,
    text,
    thing,
)
from events.api.problem import invalid_parameter
from events.moments import rfc3339
from projections.analytics.buckets import RESOLUTIONS, Resolution
from projections.analytics.measure import Measured
from projections.analytics.queries import (
    BadRange,
    Breakdown,
    TaskStatistics,
    task_statistics,
)
from projections.analytics.readmodel import NAME
from projections.api.door import ReaderDoor

DEFAULT: Resolution = "hour"
# Without since: so much time before until.
USUAL: dict[Resolution, timedelta] = {
    "minute": timedelta(hours=1),
    "hour": timedelta(days=1),
    "day": timedelta(days=30),
}

_MS = or_null(AMOUNT)
_MEASURED = {
    "completed": COUNT,
    "failed": COUNT,
    "completion_rate": or_null(number(0, 1)),
    "throughput_per_minute": AMOUNT,
    "execution_time_ms": thing(
        "ExecutionTime", dict.fromkeys(("p50", "p95", "p99", "min", "max", "mean"), _MS)
    ),
    "tokens": thing(
        "Tokens",
        dict.fromkeys(("input_tokens", "output_tokens"), Shape({"type": "integer", "minimum": 0})),
    ),
}
_REST = thing("OtherTasks", dict.fromkeys(("number", "completed", "failed"), COUNT))
STATISTICS = thing(
    "TaskStatistics",
    {
        "bucket": choice(RESOLUTIONS),
        "since": MOMENT,
        "until": MOMENT,
        **_MEASURED,
        "buckets": some_of(thing("TaskBucket", {"since": MOMENT, **_MEASURED})),
        "agents_since": MOMENT,
        "agents_until": MOMENT,
        "agents": some_of(thing("AgentTasks", {"agent_id": text(), **_MEASURED})),
        "other_agents": _REST,
        "types": some_of(thing("AgentTypeTasks", {"agent_type": text(), **_MEASURED})),
        "other_types": _REST,
    },
)


class TaskAnalytics(ReaderDoor):
    """`until` is now where it is not said, `since` as much earlier as one usually looks back."""

    reads = NAME
    rights: ClassVar = {"GET": Right.OVERSEE}
    known: ClassVar = {"GET": ("bucket", "min_seq", "since", "until")}
    parameters: ClassVar = {
        "bucket": named(RESOLUTIONS, f"`{DEFAULT}` without it."),
        "since": Parameter(
            MOMENT,
            "From here on, or from when on such buckets are kept. Without it as far back as one "
            "usually looks.",
        ),
        "until": Parameter(MOMENT, "Up to here. Without it up to now."),
    }
    operations: ClassVar = {
        "GET": Operation(
            "read_task_analytics",
            "analytics",
            "How tasks ended in a range of time",
            "Definitions and errors: docs/analytics.md.",
            answer=STATISTICS,
        )
    }

    def get(self, _: Request, **__: str) -> HttpResponse:
        bucket = self._bucket()
        since, until = self._range(bucket)
        self.reflected_seq()
        try:
            found = task_statistics(self.tenant, since, until, bucket)
        except BadRange as error:
            raise invalid_parameter(error.parameter, error.detail) from None
        return json_response(msgspec.json.encode(_json(found)), headers={SEQ: str(found.seq)})

    def _bucket(self) -> Resolution:
        text = self.query.text("bucket") or DEFAULT
        for each in RESOLUTIONS:
            if each == text:
                return each
        raise invalid_parameter("bucket", f"must be one of {', '.join(RESOLUTIONS)}.")

    def _range(self, bucket: Resolution) -> tuple[datetime, datetime]:
        since, until = self.query.moment("since"), self.query.moment("until") or timezone.now()
        try:
            return since or until - USUAL[bucket], until
        except OverflowError:
            raise invalid_parameter("until", "is as early as time goes. Say since too.") from None


def _json(found: TaskStatistics) -> dict[str, Any]:
    return {
        "bucket": found.bucket,
        "since": rfc3339(found.since),
        "until": rfc3339(found.until),
        **_measured(found.total),
        "buckets": [{"since": rfc3339(each.since), **_measured(each)} for each in found.buckets],
        "agents_since": rfc3339(found.agents.since),
        "agents_until": rfc3339(found.agents.until),
        "agents": _items(found.agents, "agent_id"),
        "other_agents": found.agents.rest,
        "types": _items(found.types, "agent_type"),
        "other_types": found.types.rest,
    }


def _items(breakdown: Breakdown, name: str) -> list[dict[str, Any]]:
    return [{name: each.name, **_measured(each)} for each in breakdown.items]


def _measured(measured: Measured) -> dict[str, Any]:
    return {name: getattr(measured, name) for name in Measured.__struct_fields__}
