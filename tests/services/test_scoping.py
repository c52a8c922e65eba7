"""Tenant data is never queried without naming the tenant; who means all of them says so."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db.models import Count, Exists, F, OuterRef, Q

from agents.models import AgentState, CurrentAgent, TaskClaim
from events import tenants
from events.models import Event, IdempotencyKey, Membership, PayloadKey, Tenant, TenantHead, Token
from events.scoping import UnscopedQuery
from tests.services.conftest import ALICE

MODELS = [
    Event,
    TenantHead,
    Membership,
    Token,
    IdempotencyKey,
    PayloadKey,
    CurrentAgent,
    AgentState,
    TaskClaim,
]

WAYS: dict[str, Callable[[Any], object]] = {
    "list": list,
    "len": len,
    "bool": bool,
    "count": lambda rows: rows.count(),
    "exists": lambda rows: rows.exists(),
    "first": lambda rows: rows.order_by("pk").first(),
    "last": lambda rows: rows.order_by("pk").last(),
    "get": lambda rows: rows.get(pk=None),
    "an index": lambda rows: rows.order_by("pk")[0],
    "a slice": lambda rows: list(rows.order_by("pk")[:3]),
    "iterator": lambda rows: list(rows.iterator()),
    "iterator in chunks": lambda rows: list(rows.iterator(chunk_size=2)),
    "aggregate": lambda rows: rows.aggregate(n=Count("pk")),
    "in_bulk": lambda rows: rows.in_bulk(),
    "values": lambda rows: list(rows.values("pk")),
    "values_list": lambda rows: list(rows.values_list("pk", flat=True)),
    "earliest": lambda rows: rows.earliest("pk"),
    "latest": lambda rows: rows.latest("pk"),
    "update": lambda rows: rows.update(tenant="x"),
    "delete": lambda rows: rows.delete(),
    "get_or_create": lambda rows: rows.get_or_create(pk=None),
    "distinct": lambda rows: list(rows.distinct()),
    "reverse": lambda rows: list(rows.order_by("pk").reverse()),
    "select_related": lambda rows: list(rows.select_related("tenant")),
    "annotate": lambda rows: list(rows.annotate(n=Count("pk"))),
    "acount": lambda rows: asyncio.run(rows.acount()),
    "aiterator": lambda rows: asyncio.run(_collect(rows)),
    "async for": lambda rows: asyncio.run(_collect_plain(rows)),
}


async def _collect(rows: Any) -> list[Any]:
    return [row async for row in rows.aiterator()]


async def _collect_plain(rows: Any) -> list[Any]:
    return [row async for row in rows]


@pytest.mark.usefixtures("committed_db")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_no_way_to_the_rows_is_open_without_a_tenant(model: Any, way: str) -> None:
    with pytest.raises(UnscopedQuery, match=model.__name__):
        WAYS[way](model.objects.all())


UNSCOPED: dict[str, Callable[[str], Any]] = {
    "another column": lambda _: Event.objects.filter(seq=1),
    "not this tenant": lambda slug: Event.objects.exclude(tenant=slug),
    "not-not": lambda slug: Event.objects.filter(~Q(tenant=slug)),
    "or": lambda slug: Event.objects.filter(Q(tenant=slug) | Q(seq=1)),
    "xor": lambda slug: Event.objects.filter(Q(tenant=slug) ^ Q(seq=1)),
    "a prefix": lambda slug: Event.objects.filter(tenant__slug__startswith=slug[:2]),
    "a range": lambda slug: Event.objects.filter(tenant__gte=slug),
    "itself": lambda _: Event.objects.filter(tenant=F("tenant")),
    "a joined table's tenant": lambda slug: Membership.objects.filter(
        user__memberships__tenant=slug
    ),
    "a union with all": lambda slug: Token.objects.filter(tenant=slug).union(
        Token.objects.across_tenants()
    ),
    "a union of all with one": lambda slug: Token.objects.all().union(
        Token.objects.filter(tenant=slug)
    ),
}


@pytest.mark.parametrize("condition", UNSCOPED)
def test_a_condition_that_does_not_pin_the_tenant_is_none(acme: str, condition: str) -> None:
    with pytest.raises(UnscopedQuery):
        list(UNSCOPED[condition](acme))


SCOPED: dict[str, Callable[[str], Any]] = {
    "the slug": lambda slug: Token.objects.filter(tenant=slug),
    "the id": lambda slug: Token.objects.filter(tenant_id=slug),
    "the tenant": lambda slug: Token.objects.filter(tenant=Tenant.objects.get(slug=slug)),
    "one of": lambda slug: Token.objects.filter(tenant__in=[slug]),
    "and more": lambda slug: Token.objects.filter(Q(tenant=slug) & (Q(name="ci") | Q(name="x"))),
    "then more": lambda slug: Token.objects.filter(tenant=slug).exclude(name="x"),
    "more, then": lambda slug: Token.objects.exclude(name="x").filter(tenant=slug),
    "the related manager": lambda slug: Tenant.objects.get(slug=slug).tokens.all(),
    "a union": lambda slug: Token.objects.filter(tenant=slug).union(
        Token.objects.filter(tenant=slug, name="ci")
    ),
}


@pytest.mark.parametrize("condition", SCOPED)
def test_a_query_that_pins_the_tenant_sees_its_rows_alone(
    acme: str, globex: str, condition: str
) -> None:
    for slug in (acme, globex):
        tenants.issue_token(slug, "ci", "auditor", by=ALICE)

    assert [token.tenant_id for token in SCOPED[condition](acme)] == [acme]


def test_a_sub_query_is_for_the_outer_one_to_pin(acme: str) -> None:
    heads = TenantHead.objects.filter(tenant=OuterRef("tenant"))
    tenants.issue_token(acme, "ci", "auditor", by=ALICE)

    assert Token.objects.filter(Exists(heads), tenant=acme).count() == 1


def test_who_means_all_tenants_says_so(acme: str, globex: str) -> None:
    for slug in (acme, globex):
        tenants.issue_token(slug, "ci", "auditor", by=ALICE)

    named: Any = Token.objects.filter(name="ci")
    for query in (
        Token.objects.across_tenants().filter(name="ci"),
        named.across_tenants(),
        Token.objects.across_tenants().filter(name="ci").order_by("pk").select_related("tenant"),
    ):
        assert {acme, globex} <= {token.tenant_id for token in query}


def test_a_persons_memberships_name_no_tenant(acme: str) -> None:
    user = get_user_model().objects.create_user(f"bob-{acme}")
    tenants.add_member(acme, user.username, "operator", by=ALICE)

    with pytest.raises(UnscopedQuery):
        user.memberships.count()
    assert user.memberships.across_tenants().count() == 1
    assert user.memberships.filter(tenant=acme).count() == 1


def test_the_refusal_says_what_to_do(committed_db: None) -> None:
    with pytest.raises(UnscopedQuery, match=r"\.filter\(tenant=…\), or \.across_tenants\(\)"):
        Event.objects.count()
