from collections.abc import Iterator, Sequence
from typing import Any

from django.core.management.base import CommandError, CommandParser

from events.durable import held, status
from events.durable.status import Condition, HeldState, State
from events.management.command import PlainCommand, check_tenant, operator
from events.models import Tenant
from events.moments import rfc3339

COLUMNS = ("tenant", "subscription", "checkpoint", "head", "lag", "seconds", "state")
NUMBERS = range(2, 6)  # of the columns
NEEDING_A_PERSON = (Condition.STOPPED, Condition.PARKED)


class Command(PlainCommand):
    help = (
        "Show how far each subscription is in each log, and have parked streams go on. "
        "Exits with 1 while something is stopped or parked, since that needs a person."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", help="only this tenant's (default: every tenant's)")
        deed = parser.add_mutually_exclusive_group()
        names = ("NAME", "STREAM")
        deed.add_argument(
            "--retry", nargs=2, metavar=names, help="try a parked stream again where it failed"
        )
        deed.add_argument(
            "--skip", nargs=2, metavar=names, help="leave out the one event that it failed at"
        )
        parser.add_argument("--reason", help="why it is skipped, for whoever reads the log")

    def run(
        self,
        *,
        tenant: str | None,
        retry: Sequence[str] | None,
        skip: Sequence[str] | None,
        reason: str | None,
        **_: Any,
    ) -> None:
        if (reason is None) != (skip is None):
            raise CommandError("--skip and --reason go together.")
        if tenant is None:
            if retry or skip:
                raise CommandError("Say with --tenant whose stream it is.")
            self._show(list(Tenant.objects.order_by("slug").values_list("slug", flat=True)))
            return
        slug = check_tenant(tenant)
        if retry:
            name, stream = _names(retry)
            held.retry(slug, name, stream)
            self.stdout.write(f"{name} tries {stream} of {slug} again.")
        elif skip:
            name, stream = _names(skip)
            by = operator("subscriptions")
            held.skip(slug, name, stream, reason=str(reason), by=by)
            self.stdout.write(f"{name} goes on with {stream} of {slug} after that event.")
        else:
            self._show([slug])

    def _show(self, tenants: Sequence[str]) -> None:
        found = [(tenant, state) for tenant in tenants for state in status.states(tenant)]
        for line in _table([COLUMNS, *(_row(tenant, state) for tenant, state in found)]):
            self.stdout.write(line)
        for tenant, state in found:
            for said in _troubles(state):
                self.stdout.write(f"{tenant}: {state.name}{said}")
        needing = sum(state.condition in NEEDING_A_PERSON for _, state in found)
        if needing:
            raise CommandError(
                f"{needing} of {len(found)} subscriptions need a person: --retry or --skip lets a "
                f"parked stream go on, resume_subscription a stopped subscription."
            )
        behind = sum(state.lag_events > 0 for _, state in found)
        self.stdout.write(
            f"{len(tenants)} tenants, {len(found)} subscriptions: {behind} behind, none needs a "
            f"person."
        )


def _names(given: Sequence[str]) -> tuple[str, str]:
    """Raises CommandError for bytes that are no UTF-8, which no database can be asked for."""
    name, stream = given
    if not (name + stream).isprintable():
        raise CommandError(f"There is no subscription {name!r} with a stream {stream!r}.")
    return name, stream


def _row(tenant: str, state: State) -> tuple[str, ...]:
    numbers = (state.checkpoint, state.head, state.lag_events, round(state.lag_seconds))
    word = state.condition.value.replace("_", " ")
    return tenant, state.name, *(f"{each:,}" for each in numbers), word


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if place in NUMBERS else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _troubles(state: State) -> Iterator[str]:
    """What keeps it, each on a line."""
    if state.stopped_reason is not None:
        yield f" is stopped: {_plain(state.stopped_reason)}"
    elif state.failures:
        tries = f"has failed {state.failures} times in a row and tries again"
        yield f" {tries}: {_plain(state.last_error or '')}"
    for stream in state.parked:
        yield f": {_where(stream)}, parked after {stream.attempts} tries: {_why(stream)}"
    for stream in state.retrying:
        yield f": {_where(stream)}, tried {stream.attempts} times: {_why(stream)}"


def _where(stream: HeldState) -> str:
    return f"{stream.stream_id} at seq {stream.seq}, held since {rfc3339(stream.held_at)[:19]}Z"


def _why(stream: HeldState) -> str:
    return _plain(stream.last_error)


def _plain(text: str) -> str:
    """On one line, and nothing that a terminal would obey: handlers quote what agents say."""
    return "".join(each if each.isprintable() else " " for each in text)
