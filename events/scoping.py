"""Tenant data is never queried without naming the tenant.

`objects` of every model that belongs to a tenant refuses to run a query whose conditions do not pin
the tenant. Who really means all tenants says so: `Model.objects.across_tenants()`.
"""

from typing import Any, Self, TypeVar

from django.db import models
from django.db.models.expressions import Col
from django.db.models.lookups import Exact, In
from django.db.models.sql.query import Query
from django.db.models.sql.where import AND, WhereNode

M = TypeVar("M", bound=models.Model)


class UnscopedQuery(RuntimeError):
    """A query of tenant data that names no tenant."""


class TenantQuerySet(models.QuerySet[M]):
    """Runs only when its conditions pin the tenant (`tenant=…` or `tenant__in=…`, and-ed)."""

    _across_tenants = False

    def across_tenants(self) -> Self:
        """All tenants' rows: for the house (sweeps, sign-in), never for a tenant's reader."""
        clone = self.all()
        clone._across_tenants = True  # noqa: SLF001 -- its own
        return clone

    def _clone(self) -> Self:
        clone: Self = super()._clone()  # type: ignore[misc]  # Django's own hook
        clone._across_tenants = self._across_tenants
        return clone

    def _refuse_unscoped(self) -> None:
        # Of a union every part has to pin it; the first one's conditions are not the others'.
        queries = self.query.combined_queries or (self.query,)
        if self._across_tenants or all(map(_is_scoped, queries)):
            return
        raise UnscopedQuery(
            f"This query of {self.model._meta.label} names no tenant. Add .filter(tenant=…), or "
            f".across_tenants() where every tenant is really meant."
        )

    # Every way in which a queryset reaches the database passes one of these.
    def _fetch_all(self) -> None:
        if self._result_cache is None:
            self._refuse_unscoped()
        super()._fetch_all()

    def iterator(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse_unscoped()
        return super().iterator(*args, **kwargs)

    def aiterator(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse_unscoped()
        return super().aiterator(*args, **kwargs)

    def count(self) -> int:
        self._refuse_unscoped()
        return super().count()

    def exists(self) -> bool:
        self._refuse_unscoped()
        return super().exists()

    def aggregate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        self._refuse_unscoped()
        return super().aggregate(*args, **kwargs)

    def update(self, **kwargs: Any) -> int:
        self._refuse_unscoped()
        return super().update(**kwargs)

    def delete(self) -> tuple[int, dict[str, int]]:
        self._refuse_unscoped()
        return super().delete()


def _is_scoped(query: Query) -> bool:
    return _pins_tenant(query.where, query.get_initial_alias())


def _pins_tenant(where: WhereNode, table: str | None) -> bool:
    if where.negated or (where.connector != AND and len(where.children) > 1):
        return False
    for child in where.children:
        if isinstance(child, WhereNode):
            if _pins_tenant(child, table):
                return True
        elif isinstance(child, Exact | In):
            target = getattr(child.lhs, "target", None)
            # A joined table has a tenant too, and a column is no value: neither pins anything here.
            own = target is not None and target.name == "tenant" and child.lhs.alias == table
            if own and not isinstance(child.rhs, Col):
                return True
    return False


class TenantManager(models.Manager[M]):
    """The default manager of tenant data; see `TenantQuerySet`."""

    def get_queryset(self) -> TenantQuerySet[M]:
        return TenantQuerySet(self.model, using=self._db)

    def across_tenants(self) -> TenantQuerySet[M]:
        return self.get_queryset().across_tenants()
