"""The routes that the events room serves, for the one page of all URLs."""

from django.urls import URLPattern, path

from events.api.checkpoints import Checkpoints, Keys
from events.api.export import LogExport
from events.api.integrity import Integrity, OneVerification, Verifications
from events.api.me import Me
from events.api.members import Member, Members
from events.api.openapi.door import OpenAPI
from events.api.saved_views import OneSavedView, SavedViews
from events.api.schemas import OneSchema, Schemas
from events.api.subscriptions import Retry, Skip, Subscriptions
from events.api.timeline import Events, OneEvent
from events.api.tokens import OneToken, Tokens

_PARKED = "subscriptions/<name>/parked/<stream_id>"

api_routes: list[URLPattern] = [
    path("keys", Keys.as_view()),
    path("me", Me.as_view()),
    path("openapi.json", OpenAPI.as_view()),
    path("schemas", Schemas.as_view()),
    path("schemas/<type>/<version>", OneSchema.as_view()),
]
tenant_routes: list[URLPattern] = [
    path("checkpoints", Checkpoints.as_view()),
    path("events", Events.as_view()),
    path("events/<event_id>", OneEvent.as_view()),
    path("export", LogExport.as_view()),
    path("integrity", Integrity.as_view()),
    path("integrity/verifications", Verifications.as_view()),
    path("integrity/verifications/<verification_id>", OneVerification.as_view()),
    path("members", Members.as_view()),
    path("members/<username>", Member.as_view()),
    path("saved-views", SavedViews.as_view()),
    path("saved-views/<view_id>", OneSavedView.as_view()),
    path("subscriptions", Subscriptions.as_view()),
    path(f"{_PARKED}/retry", Retry.as_view()),
    path(f"{_PARKED}/skip", Skip.as_view()),
    path("tokens", Tokens.as_view()),
    path("tokens/<token_id>", OneToken.as_view()),
]
