"""Every number that is counted as things happen. Who counts imports the one it needs from here.

They are plain metrics of the client library. A gauge is `livesum`: the sum over living processes.
"""

from collections import Counter as Multiset
from collections.abc import Sequence
from functools import cache

from prometheus_client import Counter, Gauge, Histogram

from events.metrics.sharing import REGISTRY

_APPEND = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_REQUEST = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

append_seconds = Histogram(
    "agentmesh_append_seconds",
    "Time that a successful append to a log took, until it was durable.",
    buckets=_APPEND,
    registry=REGISTRY,
)
events_appended = Counter(
    "agentmesh_events_appended", "Events appended to logs, by type.", ["type"], registry=REGISTRY
)
conflicts = Counter(
    "agentmesh_conflicts",
    "Commands on agents that others overtook: lost_race was decided again, gave_up was answered "
    "with 409, version_mismatch with 412.",
    ["kind"],
    registry=REGISTRY,
)
replays = Counter(
    "agentmesh_idempotent_replays",
    "Requests that got the first answer again, by their Idempotency-Key.",
    registry=REGISTRY,
)
requests = Counter(
    "agentmesh_http_requests",
    "Requests answered, by route, method and status.",
    ["route", "method", "status"],
    registry=REGISTRY,
)
request_seconds = Histogram(
    "agentmesh_http_request_seconds",
    "Time until the answer's head was ready, by route and method; of a stream until it began.",
    ["route", "method"],
    buckets=_REQUEST,
    registry=REGISTRY,
)
streams_open = Gauge(
    "agentmesh_streams_open",
    "Clients that follow a stream now.",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
stream_events = Counter(
    "agentmesh_stream_events_sent", "Events sent to clients of streams.", registry=REGISTRY
)
deliveries = Counter(
    "agentmesh_deliveries",
    "What was sent outside: sent was taken, failed is tried again, given_up is not.",
    ["channel", "outcome"],
    registry=REGISTRY,
)
turns = Counter(
    "agentmesh_worker_turns",
    "Turns of workers in tenants' logs, by subscription: done, lost to another worker, stopped "
    "until a person says how to go on, failed as a whole.",
    ["subscription", "outcome"],
    registry=REGISTRY,
)
events_handled = Counter(
    "agentmesh_worker_events_handled",
    "Events that subscriptions have handled.",
    ["subscription"],
    registry=REGISTRY,
)
sweeps = Counter(
    "agentmesh_worker_sweeps",
    "Runs of the workers' sweeps, by name and outcome (done, failed).",
    ["sweep", "outcome"],
    registry=REGISTRY,
)

for _kind in ("lost_race", "gave_up", "version_mismatch"):
    conflicts.labels(_kind)  # so that a rate has a beginning


def appended(types: Sequence[str], seconds: float) -> None:
    """An append of facts of these types was durable after so many seconds."""
    append_seconds.observe(seconds)
    if len(types) == 1:
        _appended_of(types[0]).inc()
        return
    for each, number in Multiset(types).items():
        _appended_of(each).inc(number)


# Finding a label's child costs more than counting in it. There are as many as types.
@cache
def _appended_of(type_name: str) -> Counter:
    return events_appended.labels(type_name)
