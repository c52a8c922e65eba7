"""What django-eventstream asks of a project: a storage and a channel manager, over our log.

Its functions answer from the log by them: `get_current_event_id([channel])`, for a page that hands
its browser client a place to begin at, and `get_events(request)`. A channel is a tenant's log, or
what one of its agents may hear of it, and follows from who asks and from nothing else: what a
request names is not looked at. Our stream needs neither (see ADR 129).
"""

from dataclasses import dataclass
from typing import Any, NoReturn

from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest
from django_eventstream.channelmanager import ChannelManagerBase
from django_eventstream.event import Event as StreamEvent
from django_eventstream.storage import EventDoesNotExist, StorageBase
from rest_framework.request import Request

from events.access import Principal, principal_of_token, principal_of_user
from events.api.authentication import BearerToken
from events.api.problem import Problem
from events.cloudevents import AGENT_STREAM, cloud_event
from events.confidential import reveal
from events.log import cursor
from events.log.cursor import NotInTheLog, Position
from events.models import Event, Token

_AGENTS = "/agents/"


class OnlyCommandsWrite(TypeError):
    """Somebody called send_event."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A tenant's log; with an agent, what that agent hears of it. `name`: acme, acme/agents/a1."""

    tenant: str
    agent_id: str | None = None

    @classmethod
    def of(cls, principal: Principal) -> "Channel":
        return cls(principal.tenant, principal.agent_id)

    @classmethod
    def named(cls, name: str) -> "Channel":
        tenant, _, agent_id = name.partition(_AGENTS)
        return cls(tenant, agent_id or None)

    @property
    def name(self) -> str:
        return self.tenant if self.agent_id is None else f"{self.tenant}{_AGENTS}{self.agent_id}"


class LogStorage(StorageBase):
    """The events of a channel, by their seq in the tenant's log. A channel without a tenant is
    empty. Who reads is not known here: payloads stay sealed, and origins are not shown."""

    def append_event(self, channel: str, event_type: str, data: Any) -> NoReturn:
        raise OnlyCommandsWrite(
            "What is in the log has happened: call a service, and its facts are streamed."
        )

    def get_events(self, channel: str, last_id: int, limit: int = 100) -> list[StreamEvent]:
        """The events after `last_id`. Raises EventDoesNotExist, with the id to go on from, when
        the log has not come so far: it was restored."""
        wanted = Channel.named(channel)
        head = _head(wanted.tenant).seq
        if not 0 <= last_id <= head:
            raise EventDoesNotExist(f"{channel} has no event {last_id}.", head)
        rows = Event.objects.filter(tenant=wanted.tenant, seq__gt=last_id).order_by("seq")
        if wanted.agent_id is not None:
            rows = rows.filter(stream_type=AGENT_STREAM, stream_id=wanted.agent_id)
        page = list(rows[:limit])
        shown = reveal.of_rows(page, plain=False)
        return [
            StreamEvent(
                channel,
                row.type,
                cloud_event(row, schema=None, show_origin=False, data=shown.get(row.seq)).decode(),
                id=row.seq,
            )
            for row in page
        ]

    def get_current_id(self, channel: str) -> int:
        return _head(Channel.named(channel).tenant).seq


class PrincipalChannels(ChannelManagerBase):
    """Everybody has one channel in a tenant: their own."""

    def get_channels_for_request(
        self, request: HttpRequest, view_kwargs: dict[str, Any]
    ) -> set[str]:
        principal = _who_asks(request, str(view_kwargs.get("tenant", "")))
        return set() if principal is None else {Channel.of(principal).name}

    def can_read_channel(self, user: User | AnonymousUser | Token | None, channel: str) -> bool:
        """user: a person, or the token that stands for one."""
        principal = _principal(user, Channel.named(channel).tenant)
        return principal is not None and Channel.of(principal).name == channel

    def is_channel_reliable(self, channel: str) -> bool:
        return True


def _who_asks(request: HttpRequest, tenant: str) -> Principal | None:
    try:
        found = BearerToken().authenticate(Request(request))
    except Problem:  # whoever sends a token is judged by it alone
        return None
    return _principal(found[1] if found else getattr(request, "user", None), tenant)


def _principal(user: User | AnonymousUser | Token | None, tenant: str) -> Principal | None:
    if isinstance(user, Token):
        return principal_of_token(user, tenant)
    return None if user is None else principal_of_user(user, tenant)


def _head(tenant: str) -> Position:
    try:
        return cursor.head(tenant)
    except NotInTheLog:
        return cursor.BEGINNING
