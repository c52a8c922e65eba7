"""The timeline as a page: what is asked, what is shown, and what can be done with it."""

import json
import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.http import StreamingHttpResponse
from django.test.utils import CaptureQueriesContext

from agents import services
from events import saved_views, tenants, timeline, timeline_query
from events.idempotency import Answer, Receipt
from events.log.append import append
from events.log.proposal import Context, Proposal
from events.models import Event, SavedView, Tenant
from events.pages.timeline import completions, reading
from events.pages.timeline.facets import facets
from events.pages.timeline.ready_made import READY_MADE, kind_of
from events.query_language import Query
from events.registry import types
from events.vocabulary import AgentHealthCheckPassedEvent
from tests.pages.conftest import Person, World, text_of
from tests.pages.html import fields_without_label, what_the_policy_forbids

ZOE = Context(actor="user:zoe", reason="Größe")


def seqs(response: Any) -> list[int]:
    return [event.seq for event in response.context["part"].rows]


def ask(person: Person, world: World, query: str, **more: str | int) -> Any:
    return person.get(world.page("events/"), q=query, **more)


def heartbeats(world: World, count: int, agent_id: str = "agent-1", start: int = 0) -> None:
    facts = [AgentHealthCheckPassedEvent(agent_id) for _ in range(count)]
    append(world.acme, Proposal("agent", agent_id, start, facts, ZOE))


def test_the_newest_come_first_with_what_happened_and_who_did_it(world: World) -> None:
    world.active_agent()
    newest = world.newest_event()

    response = world.bob.get(world.page("events/"))

    assert seqs(response) == list(range(newest.seq, 0, -1))
    recorded = newest.recorded_at
    text = text_of(response)
    assert f"{recorded:%Y-%m-%d %H:%M:%S}.{recorded.microsecond // 1000:03d}" in text
    assert "agent-1 went from REGISTERED to AVAILABLE" in text
    assert "AgentStatusChangedEvent" in text
    assert what_the_policy_forbids(text) == []
    assert fields_without_label(text) == []


def test_pages_follow_each_other_to_the_first_event_and_back(world: World) -> None:
    heartbeats(world, 120)
    head = world.newest_event().seq
    path = world.page("events/")

    shown: list[list[int]] = []
    where: str | None = ""
    while where is not None:
        page = world.bob.get(path + where)
        shown.append(seqs(page))
        where = page.context["older"]
    assert [seq for part in shown for seq in part] == list(range(head, 0, -1))

    back = world.bob.get(path, before=shown[2][0] + 1)
    upwards = [seqs(back)]
    while (where := back.context["newer"]) is not None:
        back = world.bob.get(path + where)
        upwards.append(seqs(back))
        assert len(upwards) < 9
    assert sorted({seq for part in upwards for seq in part}) == list(range(1, head + 1))


def test_a_query_is_answered_and_stays_in_the_input(world: World) -> None:
    world.active_agent("agent-1")
    world.active_agent("agent-2")
    services.pause_agent(**(world.to("agent-2") | {"by": ZOE}), reason="Night <b>")

    response = ask(world.carol, world, "agent:agent-2 -type:AgentStatus* actor:user:* größe")

    (event,) = response.context["part"].rows
    assert (event.type, event.stream_id) == ("AgentPausedEvent", "agent-2")
    assert 'value="agent:agent-2 -type:AgentStatus* actor:user:* größe"' in text_of(response)
    assert "Night &lt;b&gt;" in text_of(response)


def test_a_wrong_query_is_told_where_it_is_wrong_and_shows_nothing(world: World) -> None:
    response = ask(world.carol, world, 'typ:"<b>" type:AgentTasc* since:never')

    text = text_of(response)
    assert response.status_code == 400
    assert "<mark>typ:<sup>1</sup></mark>" in text
    assert "<code>typ:</code> is no field. Did you mean <code>type:</code>?" in text
    assert "<mark>AgentTasc*<sup>2</sup></mark>" in text
    assert "Did you mean <code>AgentTask*</code>?" in text
    assert "<mark>never<sup>3</sup></mark>" in text
    assert 'aria-invalid="true"' in text
    assert 'value="typ:&quot;&lt;b&gt;&quot; type:AgentTasc* since:never"' in text
    assert "part" not in response.context


HOSTILE = (
    *("\0", "x" * 3_000, '"', "a\ud800", "seq:9223372036854775807", "agent:" + "a*," * 300 + "b"),
    *("\N{RIGHT-TO-LEFT OVERRIDE}", "since:99999w", "%", "_", "'--", "-" * 50, "until:9998-12-31"),
)


def test_nothing_that_is_typed_breaks_the_page(world: World) -> None:
    for query in HOSTILE:
        typed: dict[str, bytes] = {
            "q": query.encode("utf-8", "surrogatepass"),
            "after": b"9" * 30,
        }
        for path in ("events/", "events/newer/"):
            response = world.bob.client.get(world.page(path), typed)
            assert response.status_code in (200, 400), query[:50]


def test_a_page_that_looked_at_its_share_says_so_and_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    heartbeats(world, 30)
    head = world.newest_event().seq
    monkeypatch.setattr(timeline, "EXAMINED", 10)

    first = ask(world.bob, world, "type:MemberAdded")
    text = text_of(first)
    assert seqs(first) == []
    assert "Nothing in the 10 places looked at." in text
    assert f"Seq {head} down to {head - 9}" in text
    assert "Look further" in text

    pages, where = 1, first.context["older"]
    found = []
    while where is not None:
        page = world.bob.get(world.page("events/") + where)
        found += seqs(page)
        pages, where = pages + 1, page.context["older"]
    assert found
    assert pages == -(-head // 10)


def test_one_jumps_to_a_moment(world: World) -> None:
    for version in range(3):
        heartbeats(world, 1, start=version)
    middle = Event.objects.get(tenant=world.acme, seq=world.newest_event().seq - 1)
    moment = middle.recorded_at.isoformat(timespec="microseconds").replace("+00:00", "Z")

    there = world.bob.client.get(
        world.page("events/"), {"q": "type:Agent*", "at": moment}, follow=True
    )
    wrong = ask(world.bob, world, "", at="soon")

    assert seqs(there)[0] == middle.seq - 1
    assert "q=type%3AAgent%2A" in there.redirect_chain[0][0]
    assert wrong.status_code == 400
    assert "A moment to go to must be a moment" in text_of(wrong)


def test_a_moment_is_read_on_the_clock_of_the_page(world: World) -> None:
    heartbeats(world, 1)
    now = world.newest_event().recorded_at
    Tenant.objects.filter(slug=world.acme).update(time_zone="Pacific/Kiritimati")  # +14
    local = now + timedelta(hours=14)

    before = ask(world.bob, world, f"until:{local:%Y-%m-%dT%H:%M:%S.%f}")
    after = ask(world.bob, world, f"until:{now + timedelta(hours=1):%Y-%m-%dT%H:%M:%S.%f}Z")

    assert seqs(before) == list(range(world.newest_event().seq - 1, 0, -1))
    assert len(seqs(after)) == len(seqs(before)) + 1


class TestFacets:
    def test_count_what_is_shown_and_narrow_to_it(self, world: World) -> None:
        world.active_agent("agent-1")
        world.create_agent("agent-2")

        response = ask(world.carol, world, "type:Agent*")

        shown = {facet.name: facet for facet in response.context["facets"]}
        agents = {value.value: value for value in shown["About agent"].values}
        assert {name: value.count for name, value in agents.items()} == {"agent-1": 3, "agent-2": 1}
        only = ask(world.carol, world, agents["agent-2"].only or "")
        without = ask(world.carol, world, agents["agent-2"].without or "")
        assert len(seqs(only)) == 1
        assert seqs(only) + seqs(without) == seqs(response)
        assert f"In the {len(seqs(response))} shown" in text_of(response)

    def test_a_type_of_a_newer_release_is_counted_and_cannot_be_asked_for(self) -> None:
        dream = Event(type="AgentDreamtEvent", stream_type="agent", stream_id="a", actor="user:x")

        (value,) = facets(Query(), [dream])[0].values

        assert (value.value, value.count, value.only) == ("AgentDreamtEvent", 1, None)


@pytest.mark.parametrize("each", READY_MADE, ids=lambda each: each.name)
def test_ready_made_queries_can_be_asked(each: Any) -> None:
    query = timeline_query.parsed(each.query)

    assert str(query) == each.query
    assert all(map(kind_of, types()))


class TestSavedViews:
    def test_an_operator_keeps_changes_and_deletes_a_view_that_all_see(self, world: World) -> None:
        world.active_agent()
        made = world.bob.client.post(
            world.page("events/views/"),
            {"name": "Night", "q": "type:Agent* since:2020-01-01"},
            follow=True,
        )
        view = SavedView.objects.get(tenant=world.acme)
        assert view.query == {"query": "type:Agent* since:2020-01-01T00:00:00.000000Z"}
        assert made.context["asking"].view == view
        assert "Night is kept for everybody" in text_of(made)

        seen = world.carol.get(world.page("events/"), view=str(view.pk))
        assert len(seqs(seen)) == 3
        changed = world.carol.get(
            world.page("events/"), view=str(view.pk), q="type:AgentCreatedEvent"
        )
        assert changed.context["asking"].changes_view

        path = world.page(f"events/views/{view.pk}/")
        world.bob.post(path, do="save", q="since:24h")
        view.refresh_from_db()
        assert view.query == {"query": "since:24h"}
        assert world.bob.post(path, do="delete").status_code == 302
        assert world.bob.post(path, do="delete").status_code == 404

    def test_an_auditor_is_not_offered_to_keep_and_is_refused(self, world: World) -> None:
        view = _view(world, "Night", {"types": "Agent*"})

        assert "events/views/" not in text_of(world.carol.get(world.page("events/")))
        for path in ("events/views/", f"events/views/{view.pk}/"):
            assert world.carol.post(world.page(path), name="x", q="").status_code == 403
        assert SavedView.objects.get(tenant=world.acme).query == {"types": "Agent*"}

    def test_a_view_of_the_api_is_shown_as_a_query(self, world: World) -> None:
        view = _view(world, "Night", {"types": "AgentTask*", "q": "two words", "order": "desc"})

        page = world.carol.get(world.page("events/"), view=str(view.pk))

        assert page.context["asking"].text == 'type:AgentTask* "two words"'

    def test_what_cannot_be_kept_is_told(self, world: World) -> None:
        _view(world, "Night", {})
        for name, query, told in (
            ("Night", "", "There is a saved view"),
            ("", "", "A view&#x27;s name has 1 to 100"),
            ("Bad\0", "", "A view&#x27;s name has 1 to 100"),
            ("New", "typ:x", "is no field"),
        ):
            answer = world.bob.client.post(
                world.page("events/views/"), {"name": name, "q": query}, follow=True
            )
            assert told in text_of(answer)
        assert SavedView.objects.filter(tenant=world.acme).count() == 1

    def test_mallory_sees_none_of_them(self, world: World) -> None:
        view = _view(world, "Night", {})
        there = f"/admin/t/{world.globex}/events/"

        assert "Night" not in text_of(world.mallory.get(there))
        assert world.mallory.get(there, view=str(view.pk)).status_code == 404
        assert world.mallory.get(there, view="x").status_code == 404
        assert world.mallory.post(f"{there}views/{view.pk}/", do="delete").status_code == 404
        assert SavedView.objects.filter(tenant=world.acme).exists()


class TestExport:
    QUERIES = (
        "",
        "-type:Agent*",
        "type:Agent* -type:AgentHealth* -agent:agent-2",
        "größe -agent:agent-1",
        "-größe",
        "since:1h -actor:user:zoe",
        "hours:off",
        "hours:work agent:agent-1",
        "seq:3..8 -seven",
        "nowhere-to-be-found",
    )

    def test_is_exactly_what_the_page_shows(self, world: World) -> None:
        world.active_agent("agent-1")
        heartbeats(world, 60, "agent-2")
        for query in self.QUERIES:
            page = ask(world.carol, world, query)
            heartbeats(world, 1, "agent-2", self._version(world, "agent-2"))  # since it was shown
            shown = self._all_pages(world, page)

            lines = [json.loads(line) for line in self._file(world.carol, page).splitlines()]

            assert [line["seq"] for line in lines[1:-1]] == shown[::-1], query
            told = world.newest_event()
            assert (told.type, told.actor) == ("LogExported", f"user:{world.carol.username}")
            filters = json.loads(told.data)["filters"]
            assert filters == (lines[0]["filters"] or {})
            assert bool(filters) is bool(query)
            assert ("hours_zone" in filters) is ("hours:" in query)

    def test_as_a_table_too_and_its_moments_are_those_of_the_page(self, world: World) -> None:
        heartbeats(world, 5)
        page = ask(world.carol, world, "agent:agent-1 since:today")

        response = self._answer(world.carol, page, format="csv")

        assert response["Content-Type"].startswith("text/csv")
        assert body(response).count(b"AgentHealthCheckPassedEvent") == 5
        told = json.loads(world.newest_event().data)["filters"]["query"]
        assert re.fullmatch(r"agent:agent-1 since:[0-9T:.-]+Z", told)

    def test_is_for_admins_and_auditors(self, world: World) -> None:
        page = world.bob.get(world.page("events/"))
        head = world.newest_event().seq

        assert "events/export/" not in text_of(page)
        assert self._answer(world.bob, page).status_code == 403
        assert world.newest_event().type == "AccessDenied"
        assert "events/export/" in text_of(world.alice.get(world.page("events/")))
        assert world.newest_event().seq == head + 1

    def test_what_means_nothing_is_no_copy(self, world: World) -> None:
        page = world.carol.get(world.page("events/"))
        head = world.newest_event().seq

        for wrong in (
            {"q": "typ:x"},
            {"to_seq": "0"},
            {"to_seq": "9" * 19},
            {"to_seq": "x"},
            {"format": "xml"},
        ):
            assert self._answer(world.carol, page, **wrong).status_code == 302
            assert "Nothing was exported." in text_of(world.carol.get(world.page("events/")))

        assert world.newest_event().seq == head

    def test_copies_are_limited(
        self, world: World, monkeypatch: pytest.MonkeyPatch, settings: Any
    ) -> None:
        settings.RATE_LIMITS = {"export": "1/hour"}
        page = world.carol.get(world.page("events/"))

        assert self._answer(world.carol, page).status_code == 200
        assert self._answer(world.carol, page).status_code == 302

        assert "Too many copies" in text_of(world.carol.get(world.page("events/")))

    def _version(self, world: World, agent_id: str) -> int:
        return Event.objects.filter(tenant=world.acme, stream_id=agent_id).count()

    def _all_pages(self, world: World, page: Any) -> list[int]:
        found, where = seqs(page), page.context["older"]
        while where is not None:
            following = world.carol.get(world.page("events/") + where)
            found += seqs(following)
            where = following.context["older"]
        return found

    def _answer(self, person: Person, page: Any, **other: str) -> Any:
        form = {
            "q": page.context["asking"].text,
            "asked_at": page.context["asked_at"],
            "to_seq": str(page.context["part"].head),
            "format": "jsonl",
        }
        return person.post(f"{page.request['PATH_INFO']}export/", **(form | other))

    def _file(self, person: Person, page: Any) -> bytes:
        response = self._answer(person, page)
        assert response.status_code == 200, response
        return body(response)


def body(response: Any) -> bytes:
    streamed = cast("StreamingHttpResponse", response)
    return b"".join(cast("Iterable[bytes]", streamed.streaming_content))


def test_the_permanent_link_shows_the_same_tomorrow(world: World) -> None:
    heartbeats(world, 4)
    page = ask(world.carol, world, "agent:agent-1 since:1h")
    link = urlsplit(page.context["permalink"])
    heartbeats(world, 2, start=4)

    again = world.carol.get(f"{link.path}?{link.query}")

    assert seqs(again) == seqs(page)
    assert re.fullmatch(r"agent:agent-1 since:[0-9T:.-]+Z", parse_qs(link.query)["q"][0])


class TestNewerRows:
    def test_are_the_next_above_a_place_and_say_how_far_they_reach(self, world: World) -> None:
        seen = world.newest_event().seq
        heartbeats(world, 230)
        found: list[int] = []
        position, pages = seen, 0
        while True:
            text = text_of(world.bob.get(world.page("events/newer/"), after=position, q="-seven"))
            rows = [int(seq) for seq in re.findall(r'data-seq="(\d+)"', text)]
            assert rows == sorted(rows, reverse=True)
            found = rows + found
            position = int(re.findall(r'data-position="(\d+)"', text)[0])
            pages += 1
            if 'data-more="no"' in text:
                break
        assert pages == 3
        assert found == list(range(seen + 230, seen, -1))
        assert position == seen + 230

    def test_know_when_the_log_is_shorter_than_what_was_seen(self, world: World) -> None:
        head = world.newest_event().seq

        text = text_of(world.bob.get(world.page("events/newer/"), after=head + 1_000))

        assert f'data-position="{head}"' in text

    def test_of_a_wrong_query_are_none(self, world: World) -> None:
        assert world.carol.get(world.page("events/newer/"), q="typ:x").status_code == 400


class TestCompletions:
    def complete(self, person: Person, world: World, field: str, prefix: str = "") -> list[str]:
        answer = person.get(world.page("events/completions/"), field=field, prefix=prefix)
        return [item["text"] for item in answer.json()["items"]]

    def test_are_those_of_the_tenant(self, world: World) -> None:
        for agent_id in ("alpha-1", "alpha-2", "beta-1"):
            world.create_agent(agent_id)
        tenants.issue_token(world.acme, "ci, nightly", "operator", by=ZOE)
        services.create_agent(
            tenant=world.globex, agent_id="alpha-9", name="x", by=ZOE,
            capabilities=world.agent("alpha-1").capabilities,
        )  # fmt: skip

        assert self.complete(world.carol, world, "agent", "alpha") == ["alpha-1", "alpha-2"]
        assert self.complete(world.carol, world, "agent", "alpha-2") == ["alpha-2"]
        assert self.complete(world.carol, world, "agent", "Alpha") == []
        assert self.complete(world.carol, world, "type", "agenttask") == [
            "AgentTask*", "AgentTaskAssignedEvent", "AgentTaskCompletedEvent",
            "AgentTaskFailedEvent",
        ]  # fmt: skip
        assert self.complete(world.carol, world, "actor", "token:") == ['"token:ci, nightly"']
        people = self.complete(world.carol, world, "actor", "user:")
        assert f"user:{world.alice.username}" in people
        assert "user:zoe" in people  # who is no member, but acted
        assert self.complete(world.carol, world, "actor", "agent:al") == [
            "agent:alpha-1", "agent:alpha-2",
        ]  # fmt: skip
        assert self.complete(world.carol, world, "correlation", "a") == []

    def test_are_bounded(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(completions, "MOST", 2)
        for number in range(4):
            world.create_agent(f"agent-{number}")

        assert self.complete(world.carol, world, "agent") == ["agent-0", "agent-1"]
        assert self.complete(world.carol, world, "agent", "\0") == ["agent-0", "agent-1"]


def test_mallory_finds_nothing_there(world: World) -> None:
    for rest in ("", "newer/", "completions/"):
        assert world.mallory.get(world.page(f"events/{rest}")).status_code == 404
    for rest in ("export/", "views/"):
        assert world.mallory.post(world.page(f"events/{rest}"), to_seq=1).status_code == 404


def test_nothing_is_kept_or_taken_by_looking(world: World) -> None:
    for rest in ("export/", "views/"):
        assert world.alice.get(world.page(f"events/{rest}")).status_code == 405
    for rest in ("", "newer/", "completions/"):
        assert world.alice.post(world.page(f"events/{rest}")).status_code == 405


@pytest.mark.parametrize(
    ("query", "questions"),
    [("", 8), ("type:Agent* -actor:user:*", 8), ("größe hours:off since:1h", 11), ("agent:a", 10)],
)
def test_a_page_asks_as_few_questions_deep_in_a_log_as_at_its_end(
    world: World, query: str, questions: int
) -> None:
    heartbeats(world, 120)
    ask(world.carol, world, query)  # the first visit notes the tenant in the session

    for more in ({}, {"before": 30}, {"before": 2}):
        with CaptureQueriesContext(connection) as asked:
            ask(world.carol, world, query, **more)
        assert len(asked) <= questions, [each["sql"] for each in asked]
        assert not [each for each in asked.captured_queries if "OFFSET" in each["sql"]]


def test_a_part_of_a_log_tells_between_which_places_it_looked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    heartbeats(world, 20)
    head = world.newest_event().seq
    asked = timeline_query.asked_of(world.acme, Query(), world.newest_event().recorded_at)

    newest = reading.newest(world.acme, asked, None, 5)
    assert (newest.top, newest.bottom, newest.newer) == (head, head - 4, None)
    above = reading.following(world.acme, asked, head - 3, 5)
    assert ([row.seq for row in above.rows], above.newer) == ([head, head - 1, head - 2], None)
    assert (above.top, above.older) == (head, head - 2)


def _view(world: World, name: str, query: dict[str, str]) -> SavedView:
    return saved_views.create(
        world.acme,
        name=name,
        query=query,
        by="user:bob",
        receipt=Receipt(lambda _: Answer(200, {})),
    )
