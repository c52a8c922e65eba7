"""The agents' rows of a log that came from elsewhere, made in the transaction that imports it."""

from itertools import islice

import msgspec
from django.db import IntegrityError

from agents.domain import limits
from agents.domain.errors import InvalidCommand
from agents.domain.state import Agent
from agents.models import CurrentAgent, MassLoss, TaskClaim
from agents.rebuild import AT_ONCE, named
from agents.retelling import Retelling, Told, Untellable
from events.tenants import Refused
from events.transfer.importing import log_imported


def listen() -> None:
    log_imported.connect(_fill, dispatch_uid="agents.imports")


def _fill(tenant: str, seq: int, **_: object) -> None:
    """Write what the log tells. Raises Refused when it tells of what no agent can be."""
    try:
        rows = Retelling(tenant, seq).rows()
        while batch := list(islice(rows, AT_ONCE)):
            _insert(tenant, batch)
    except Untellable as error:
        raise Refused(f"{error} Nothing was imported.") from error


def _insert(tenant: str, batch: list[Told]) -> None:
    for model in {row.model for row in batch}:
        told = [row for row in batch if row.model is model]
        for row in told:
            _check_names(tenant, row)
            if model is CurrentAgent:
                _check_state(tenant, row)
        made = [
            model(**{"tenant_id": tenant} | named(model, row.key), **row.values) for row in told
        ]
        try:
            model._default_manager.bulk_create(made)  # noqa: SLF001 -- documented
        except IntegrityError as error:
            raise Refused(
                f"{tenant}: the log has a task assigned again after it was completed, which no "
                f"rule allows. Nothing was imported."
            ) from error


def _check_names(tenant: str, row: Told) -> None:
    """No command gives other names, no address leads to them, and PostgreSQL's columns end."""
    try:
        if row.model is TaskClaim:
            limits.check_task_id(row.key[0])
        elif row.model is not MassLoss:
            limits.check_agent_id(row.key[0])
        if row.model is CurrentAgent:
            limits.check_text(row.values["name"], "name", most=limits.MAX_NAME)
    except InvalidCommand as error:
        raise Refused(f"{tenant}: the log has a {error} Nothing was imported.") from error


def _check_state(tenant: str, row: Told) -> None:
    """`evolve` believes every fact; what it made of them must still be an agent."""
    try:
        msgspec.json.decode(row.values["state"], type=Agent)
    except msgspec.MsgspecError as error:
        raise Refused(
            f"{tenant}: what is told of agent {row.key[0]} makes no agent ({error}). Nothing was "
            f"imported."
        ) from error
