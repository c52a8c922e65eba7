"""django-eventstream over our log, by its own functions."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.test import RequestFactory
from django_eventstream import (
    EventPermissionError,
    EventRequest,
    get_current_event_id,
    get_events,
    send_event,
)
from django_eventstream.event import Event as StreamEvent
from django_eventstream.utils import get_channelmanager, get_storage

from events.models import Event, Role
from events.tenants import add_member, change_member
from projections.stream.eventstream import LogStorage, OnlyCommandsWrite, PrincipalChannels
from tests.stream.people import BY, Fleet


def asking(tenant: str, user: Any = None, token: str | None = None, **query: Any) -> EventRequest:
    """Somebody asks for a tenant's stream, in django-eventstream's own words."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    request = RequestFactory().get("/stream", query, headers=headers)
    request.user = user or AnonymousUser()
    return EventRequest(request, view_kwargs={"tenant": tenant})


@pytest.fixture
def bob(acme: Fleet, fresh_slug: Callable[[str], str]) -> Any:
    """Operates in acme."""
    user = get_user_model().objects.create_user(fresh_slug("bob"))
    add_member(acme.tenant, user.username, Role.OPERATOR, by=BY)
    return user


def test_it_is_set_up_with_our_log() -> None:
    assert isinstance(get_storage(), LogStorage)
    assert isinstance(get_channelmanager(), PrincipalChannels)


def test_the_current_id_is_the_logs_head(acme: Fleet, globex: Fleet) -> None:
    globex.beat(4)

    assert get_current_event_id([acme.tenant]) == f"{acme.tenant}:{acme.head}"
    assert get_current_event_id([acme.tenant, globex.tenant]) == (
        f"{acme.tenant}:{acme.head},{globex.tenant}:{globex.head}"
    )
    assert get_current_event_id(["absent"]) == "absent:0"


def test_its_pages_are_the_log(acme: Fleet, bob: Any) -> None:
    acme.beat(5)
    request = asking(acme.tenant, bob, lastEventId=f"{acme.tenant}:0")
    heard: list[StreamEvent] = []

    while True:
        answer = get_events(request, limit=3, user=bob)
        heard += answer.channel_items[acme.tenant]
        if not answer.channel_more:
            break

    rows = Event.objects.filter(tenant=acme.tenant).order_by("seq")
    assert [(each.id, each.type) for each in heard] == [(row.seq, row.type) for row in rows]
    assert [json.loads(each.data)["id"] for each in heard] == [str(row.event_id) for row in rows]
    assert all("origin" not in json.loads(each.data) for each in heard)
    assert {each.channel for each in heard} == {acme.tenant}


def test_without_a_place_it_begins_at_the_head(acme: Fleet, bob: Any) -> None:
    answer = get_events(asking(acme.tenant, bob), user=bob)

    assert answer.channel_items == {acme.tenant: []}
    assert answer.channel_last_ids == {acme.tenant: str(acme.head)}


def test_a_place_beyond_the_log_is_a_reset_to_its_head(acme: Fleet, bob: Any) -> None:
    answer = get_events(asking(acme.tenant, bob, lastEventId=f"{acme.tenant}:5000"), user=bob)

    assert answer.channel_reset == {acme.tenant}
    assert answer.channel_last_ids == {acme.tenant: str(acme.head)}


def test_an_agents_channel_is_of_that_agent_alone(acme: Fleet) -> None:
    acme.enlist("a-2")
    token, secret = acme.issue(Role.AGENT, "a-2")
    acme.beat(1, "a-1")
    acme.beat(1, "a-2")
    channel = f"{acme.tenant}/agents/a-2"

    request = asking(acme.tenant, token=secret, lastEventId=f"{channel}:0")
    answer = get_events(request, user=token)

    assert request.channels == {channel}
    told = [json.loads(each.data) for each in answer.channel_items[channel]]
    assert [each["subject"] for each in told] == ["a-2"] * 4


def test_what_a_request_names_is_not_looked_at(acme: Fleet, globex: Fleet, bob: Any) -> None:
    named = {"channel": globex.tenant, "channels": globex.tenant}

    assert asking(acme.tenant, bob, **named).channels == {acme.tenant}
    assert asking(acme.tenant, token=acme.token(), **named).channels == {acme.tenant}


def test_mallory_has_no_channel_in_acme(acme: Fleet, globex: Fleet, bob: Any) -> None:
    token, secret = globex.issue()
    strangers: list[dict[str, Any]] = [{}, {"token": secret}, {"token": "am_" + "x" * 43}]

    for stranger in strangers:
        with pytest.raises(EventRequest.Error, match="No channels"):
            asking(acme.tenant, **stranger, channel=acme.tenant)
    request = asking(acme.tenant, bob)
    for user in (token, AnonymousUser(), None):
        assert not get_channelmanager().can_read_channel(user, acme.tenant)
        assert not get_channelmanager().can_read_channel(user, "absent")
    with pytest.raises(EventPermissionError):
        get_events(request, user=token)
    change_member(acme.tenant, bob.username, suspended=True, by=BY)
    with pytest.raises(EventPermissionError):
        get_events(request, user=bob)


def test_nobody_sends_events_past_the_services(acme: Fleet) -> None:
    head = acme.head

    with pytest.raises(OnlyCommandsWrite):
        send_event(acme.tenant, "AgentPausedEvent", {"reason": "because"})

    assert acme.head == head
