"""GET /export: whole or filtered, as lines or as a table; each copy is a fact before it begins."""

import csv
import json
import re
import zipfile
from collections.abc import Iterable
from io import BytesIO, StringIO
from typing import Any, cast
from urllib.parse import quote

import pytest
from django.http import HttpResponse, StreamingHttpResponse
from pytest_django import Settings

from events.log import read
from events.models import Event
from events.transfer.arriving import Arriving, BadFile
from events.verify_export import Reading
from tests.api.conftest import Caller, People, body_of


@pytest.fixture
def worked(people: People) -> People:
    """Two agents in acme, one of them at work."""
    people.bob.available("a-1")
    people.bob.available("a-2")
    people.bob.post("/agents/a-1/tasks", {"task_id": "t-1", "input": "=1+1"}, Causation="x")
    return people


def file_of(response: HttpResponse) -> bytes:
    assert response.status_code == 200, response.content
    streamed = cast("StreamingHttpResponse", response)
    return b"".join(cast("Iterable[bytes]", streamed.streaming_content))


def head(caller: Caller) -> int:
    end = read.head(caller.tenant)
    assert end is not None
    return end.seq


def seqs(file: bytes) -> list[int]:
    return [json.loads(line)["seq"] for line in file.splitlines()[1:-1]]


def test_an_auditor_takes_the_whole_log(worked: People) -> None:
    before = head(worked.carol)

    response = worked.carol.get("/export")
    file = file_of(response)

    assert response["Content-Type"] == "application/x-ndjson"
    assert response["Cache-Control"] == "no-store"
    assert response["AgentMesh-Seq"] == str(before)
    assert response["Content-Disposition"] == (
        f'attachment; filename="{worked.carol.tenant}-1-{before}.jsonl"'
    )
    assert seqs(file) == [*range(1, before + 1)]
    Reading(BytesIO(file), []).run()
    assert sum(1 for _ in Arriving(BytesIO(file))) == before


def test_a_copy_is_recorded_before_its_first_byte_and_is_not_in_itself(worked: People) -> None:
    before = head(worked.carol)

    response = worked.carol.get("/export?format=csv&types=Agent*", X_Correlation_Id="c-9")
    recorded = Event.objects.get(tenant=worked.carol.tenant, type="LogExported")
    file = file_of(response)

    assert (recorded.seq, recorded.actor, recorded.correlation_id) == (
        before + 1,
        "token:carol",
        "c-9",
    )
    said = json.loads(recorded.data)
    said.pop("occurred_at")
    assert said == {
        "format": "csv",
        "from_seq": 1,
        "to_seq": before,
        "filters": {"types": "Agent*"},
    }
    assert b"LogExported" not in file


def test_head_says_what_a_copy_would_be_and_takes_none(worked: People) -> None:
    before = head(worked.carol)

    response = worked.carol.request("HEAD", "/export?format=csv")

    assert (response.status_code, response.content) == (200, b"")
    assert response["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert f"-1-{before}.csv" in response["Content-Disposition"]
    assert head(worked.carol) == before


@pytest.mark.parametrize(
    "query",
    [
        "types=AgentTask*,AgentCreatedEvent",
        "agent=a-1",
        "agent=a-*",
        "actor=token:bob",
        "q=A-2",
        "types=Agent*&q=t-1&agent=a-1",
        "since=2026-01-01T00:00:00Z",
        "until=2026-01-01T00:00:00Z",
        "correlation=nobody",
    ],
)
def test_filters_mean_what_they_mean_in_the_timeline(worked: People, query: str) -> None:
    listed = body_of(worked.carol.get(f"/events?limit=1000&{query}"))["items"]

    file = file_of(worked.carol.get(f"/export?{query}"))

    assert seqs(file) == [int(item["seq"]) for item in listed]
    header = json.loads(file.splitlines()[0])
    assert header["filters"] == dict(part.split("=") for part in query.split("&"))
    Reading(BytesIO(file), []).run()
    with pytest.raises(BadFile, match="only what fitted a filter"):
        Arriving(BytesIO(file))


def test_a_query_says_in_the_file_what_it_meant_then(worked: People) -> None:
    listed = body_of(
        worked.carol.get("/events?limit=1000&query=-type:Agent*%20since:1h%20hours:off,work")
    )
    assert listed["errors"][0]["parameter"] == "query"
    query = "-type:AgentCreatedEvent%20agent:a-*%20since:1h"
    listed = body_of(worked.carol.get(f"/events?limit=1000&query={query}"))["items"]

    file = file_of(worked.carol.get(f"/export?query={query}"))

    assert seqs(file) == [int(item["seq"]) for item in listed] != []
    told = json.loads(file.splitlines()[0])["filters"]["query"]
    assert re.fullmatch(r"-type:AgentCreatedEvent agent:a-\* since:2[0-9]{3}-[0-9T:.-]+Z", told)
    again = file_of(worked.carol.get(f"/export?query={quote(told)}"))
    assert seqs(again) == seqs(file)


def test_a_part_is_named_by_its_bounds(worked: People) -> None:
    response = worked.carol.get("/export?from_seq=3&to_seq=5")

    assert response["Content-Disposition"].endswith('-3-5.jsonl"')
    assert seqs(file_of(response)) == [3, 4, 5]
    assert seqs(file_of(worked.carol.get("/export?from_seq=3&to_seq=5&types=Nothing"))) == []


def test_a_bundle_names_whoever_takes_it_and_the_fact_of_it(worked: People) -> None:
    before = head(worked.carol)

    response = worked.carol.get("/export?format=bundle&types=AgentTask*&from_seq=2")
    file = file_of(response)

    assert response["Content-Type"] == "application/zip"
    assert response["Content-Disposition"] == (
        f'attachment; filename="{worked.carol.tenant}-2-{before}-filtered.audit.zip"'
    )
    with zipfile.ZipFile(BytesIO(file)) as archive:
        said = json.loads(archive.read("manifest.json"))
    recorded = Event.objects.get(tenant=worked.carol.tenant, type="LogExported")
    assert (said["made_by"], said["recorded_as_seq"]) == ("token:carol", recorded.seq)
    assert said["query"] == {"types": "AgentTask*", "from_seq": "2"}
    told = json.loads(recorded.data)
    assert (told["format"], told["from_seq"], told["to_seq"]) == ("bundle", 2, before)
    assert told["filters"] == {"types": "AgentTask*"}


def test_without_a_key_to_sign_with_there_is_no_bundle(people: People, settings: Settings) -> None:
    settings.SIGNING_KEY = None
    before = head(people.carol)

    response = people.carol.get("/export?format=bundle")

    assert (response.status_code, body_of(response)["code"]) == (503, "unavailable")
    assert "AGENTMESH_SIGNING_KEY" in body_of(response)["detail"]
    assert head(people.carol) == before


def test_a_filtered_copy_has_another_name(worked: People) -> None:
    response = worked.carol.get("/export?q=t-1")

    assert response["Content-Disposition"].endswith('-filtered.jsonl"')


def test_a_table_has_the_same_events_and_no_formulas(worked: People) -> None:
    worked.bob.post("/agents", {"name": "x", "agent_id": "-minus", "capabilities": []})
    worked.bob.available("-minus")

    names, *rows = csv.reader(
        StringIO(file_of(worked.alice.get("/export?format=csv")).decode("utf-8-sig"), newline="")
    )

    cells = [dict(zip(names, row, strict=True)) for row in rows]
    stored = Event.objects.filter(tenant=worked.alice.tenant, seq__lte=len(cells)).order_by("seq")
    assert [cell["data"] for cell in cells] == [row.data for row in stored]
    assert {cell["stream_id"] for cell in cells} >= {"a-1", "'-minus"}
    assert not any(value[:1] in ("=", "+", "-", "@") for cell in cells for value in cell.values())


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("format=xml", "format"),
        ("format=", "format"),
        ("format=csv&format=jsonl", "format"),
        ("after=5", "after"),
        ("limit=5", "limit"),
        ("order=desc", "order"),
        ("schema=1.0", "schema"),
        ("from_seq=0", "from_seq"),
        ("from_seq=9999", "from_seq"),
        ("to_seq=9999", "to_seq"),
        ("from_seq=3&to_seq=2", "from_seq"),
        ("format=bundle&to_seq=9999", "to_seq"),
        ("since=yesterday", "since"),
        ("types=,", "types"),
        ("agent=a*b", "agent"),
        ("min_seq=999999", "min_seq"),
    ],
)
def test_a_wrong_question_takes_no_copy(people: People, query: str, parameter: str) -> None:
    before = head(people.alice)

    response = people.alice.get(f"/export?{query}")

    assert response.status_code == 400
    assert body_of(response)["errors"][0]["parameter"] == parameter
    assert head(people.alice) == before


def test_who_may_not_takes_no_copy_and_is_recorded(worked: People) -> None:
    before = head(worked.bob)
    robot = worked.agent("a-1")

    answers: list[Any] = [robot.get("/export"), worked.bob.get("/export")]

    assert [answer.status_code for answer in answers] == [403, 403]
    later = Event.objects.filter(tenant=worked.bob.tenant, seq__gt=before)
    assert sorted(later.values_list("type", flat=True)) == [
        "AccessDenied",
        "AccessDenied",
        "TokenIssued",
    ]


def test_what_accepts_tables_or_lines_is_answered(people: People) -> None:
    for accepted in (
        "text/csv",
        "application/zip",
        "application/x-ndjson",
        "application/json",
        "text/html,*/*;q=0.8",
    ):
        assert people.carol.request("HEAD", "/export", Accept=accepted).status_code == 200
    assert people.carol.request("HEAD", "/export", Accept="text/html").status_code == 406


def test_mallory_learns_nothing_and_leaves_no_trace(worked: People) -> None:
    stranger = Caller(worked.carol.tenant, worked.mallory.token)
    before = head(worked.carol)

    assert stranger.get("/export").content == worked.mallory.get("/agents/nobody").content
    assert head(worked.carol) == before
    own = file_of(worked.mallory.get("/export"))
    assert worked.carol.tenant.encode() not in own
