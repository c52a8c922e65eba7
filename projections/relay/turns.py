"""Whose turn it is. A tenant that has a page after page to catch up takes turns with all the others
that do, and with those whose log has just grown, one to one."""

from collections.abc import Iterable


class Turns:
    """Two queues, each with every tenant at most once. Python's dicts keep the order."""

    def __init__(self) -> None:
        self._fresh: dict[str, None] = {}
        self._behind: dict[str, None] = {}
        self._fresh_is_next = True

    def __bool__(self) -> bool:
        return bool(self._fresh or self._behind)

    def add(self, tenants: Iterable[str]) -> None:
        """Their logs may have grown. Who has to catch up keeps its place among those."""
        self._fresh.update((tenant, None) for tenant in tenants if tenant not in self._behind)

    def add_behind(self, tenant: str) -> None:
        """There is more than one page to come."""
        self._fresh.pop(tenant, None)
        self._behind[tenant] = None

    def take(self) -> str:
        """The next one, which has no other turn until it is added again."""
        first, second = self._fresh, self._behind
        if not self._fresh_is_next:
            first, second = second, first
        self._fresh_is_next = not self._fresh_is_next
        queue = first or second
        tenant = next(iter(queue))
        del queue[tenant]
        return tenant
