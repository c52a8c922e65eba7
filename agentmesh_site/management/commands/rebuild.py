from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.core.management.base import CommandError, CommandParser
from tqdm import tqdm

from agents.rebuild import NotRebuilt, Rebuilt, compare, rebuild
from agents.retelling import Retelling, Untellable
from events.bus import Subscription, event_bus
from events.durable import rebuilding
from events.durable.rebuilding import CannotRebuild
from events.log.cursor import LogDamaged
from events.management.command import PlainCommand, check_tenant
from events.models import Tenant

AGENTS = "agents"

# How many rows were not as the log tells, and the line that says so.
Outcome = tuple[int, str]


class Command(PlainCommand):
    help = "Make what is derived from the log anew, or only compare it with the log."

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument(
            "subscription", nargs="?", help=f"what to rebuild: {AGENTS}, or a projection's name"
        )
        what.add_argument("--all", action="store_true", help="everything there is")
        parser.add_argument("--tenant", help="only this tenant's (default: every tenant's)")
        parser.add_argument(
            "--check", action="store_true", help="change nothing; exit 1 on any difference"
        )

    def run(self, *, subscription: str | None, tenant: str | None, check: bool, **_: Any) -> None:
        targets = _targets(subscription)
        if tenant is not None:
            tenants = [check_tenant(tenant)]
        else:
            tenants = list(Tenant.objects.order_by("slug").values_list("slug", flat=True))
        outcomes: list[Outcome] = []
        try:
            for slug in tenants:
                for target in targets:
                    outcomes.append(self._act(target, slug, check=check))
                    self.stdout.write(outcomes[-1][1])
        except (Untellable, NotRebuilt, CannotRebuild, LogDamaged) as error:
            raise CommandError(str(error)) from error
        wrong = sum(differences for differences, _ in outcomes)
        if check and wrong:
            raise CommandError(f"{wrong} differences. rebuild without --check puts them right.")
        if len(outcomes) != 1:
            done = "compared" if check else "rebuilt"
            self.stdout.write(
                f"{len(tenants)} tenants, {', '.join(map(_name, targets))} {done}: "
                f"{wrong} rows were not as the log tells."
            )

    def _act(self, target: Subscription | None, tenant: str, *, check: bool) -> Outcome:
        if target is None:
            return self._check_agents(tenant) if check else _rebuild_agents(tenant)
        with _bar(f"{target.name} of {tenant}") as progress:
            if not check:
                return _rebuild(target, tenant, progress)
            compared, found = rebuilding.check(target, tenant, progress)
        for difference in found:
            self.stdout.write(str(difference))
        return len(found), (
            f"{tenant}: {target.name}: {compared.rows:,} rows of {compared.events:,} events "
            f"compared, {_said(len(found))}."
        )

    def _check_agents(self, tenant: str) -> Outcome:
        retelling, found = compare(tenant)
        count = 0
        for difference in found:
            self.stdout.write(str(difference))
            count += 1
        return count, f"{tenant}: {_told(retelling)} compared, {_said(count)}."


def _targets(name: str | None) -> Sequence[Subscription | None]:
    """None stands for the agents' rows, which every append writes and no subscription keeps."""
    projections = {each.name: each for each in event_bus.subscriptions.values() if _is_kept(each)}
    if name is None:
        return (None, *projections.values())
    if name == AGENTS:
        return (None,)
    if name in projections:
        return (projections[name],)
    raise CommandError(
        f"There is no {name!r} to rebuild. There is {', '.join((AGENTS, *projections))}."
    )


def _is_kept(subscription: Subscription) -> bool:
    """Whether it says which rows are its own."""
    return subscription.read_model is not None or bool(subscription.models)


def _name(target: Subscription | None) -> str:
    return AGENTS if target is None else target.name


def _rebuild_agents(tenant: str) -> Outcome:
    rebuilt = rebuild(tenant)
    return rebuilt.written, f"{tenant}: {_told(rebuilt)} rebuilt, {rebuilt.written:,} rows written."


def _rebuild(target: Subscription, tenant: str, progress: Callable[[int], object]) -> Outcome:
    rebuilt = rebuilding.rebuild(target, tenant, progress)
    done = f"{tenant}: {target.name}: {rebuilt.rows:,} rows of {rebuilt.events:,} events rebuilt"
    held = f"; {rebuilt.held} streams failed and are tried again" if rebuilt.held else ""
    return 0, f"{done}{held}."


@contextmanager
def _bar(title: str) -> Iterator[Callable[[int], object]]:
    """Where a person watches, and only when it takes a while."""
    with tqdm(desc=title, unit=" events", disable=None, delay=1.0, leave=False) as bar:
        yield bar.update


def _said(differences: int) -> str:
    return f"{differences} differences" if differences else "all as the log tells"


def _told(what: Retelling | Rebuilt) -> str:
    return f"{what.agents:,} agents, {what.tasks:,} tasks and {what.states:,} past states"
