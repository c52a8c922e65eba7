"""Who may be given a task, the best first; and when nobody may, why.

Both are one query over a tenant's current rows: the database filters and scores (the formula is
that of `agents.domain.routing`), and no more rows leave it than are tried. Rows that other rules
have made cannot be scored; they come last, and whoever takes one decides by its replayed agent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from django.db import connection

from agents.current import FOLD, TAGS
from agents.domain import limits, routing
from agents.domain.routing import ANYBODY, Preference, Requirement
from agents.domain.state import Status


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a task asks for."""

    required: Sequence[Requirement]
    prefer: Preference = ANYBODY


@dataclass(frozen=True, slots=True)
class Skilled:
    """Of the agents in a tenant, terminated ones left out: how many have one required capability at
    its level, how many have it below, and the best level among them, 0 where nobody has it."""

    requirement: Requirement
    able: int
    below: int
    best_level: int


@dataclass(frozen=True, slots=True)
class Census:
    """by_status: of those who have all that is required, in the order of Status."""

    agents: int
    skilled: Sequence[Skilled]
    by_status: dict[Status, int]


def ranked(
    tenant: str, wanted: Wanted, now: datetime, *, limit: int, without: Sequence[str] = ()
) -> list[str]:
    """The ids of available agents that can do it, the best first: preferred ones, then by score,
    then by id. What has just changed may be among them, so that each has to be decided upon."""
    query = _Query()
    by_our_rules = f"fold = {query.value(FOLD)}"
    able = " AND ".join(query.can_do(each) for each in wanted.required)
    perhaps = " AND ".join(query.may_do(each) for each in wanted.required)
    conditions = [
        f"status = {query.value(Status.AVAILABLE.value)}",
        f"(({by_our_rules} AND {able}) OR (NOT {by_our_rules} AND {perhaps}))",
        *(f"agent_id <> {query.value(each)}" for each in without),
    ]
    order = (
        f"CASE WHEN {by_our_rules} THEN 0 ELSE 1 END",
        *query.preferred_first(wanted.prefer),
        f"{query.score(wanted.required, now)} DESC",
        query.by_bytes("agent_id"),
    )
    rows = query.rows(
        f"SELECT agent_id {query.agents(tenant, *conditions)} "
        f"ORDER BY {', '.join(order)} LIMIT {query.value(limit)}"
    )
    return [agent_id for (agent_id,) in rows]


def census(tenant: str, required: Sequence[Requirement]) -> Census:
    """Why nobody may."""
    query = _Query()
    able = " AND ".join(query.can_do(each) for each in required)
    statuses = [each for each in Status if each is not Status.TERMINATED]
    counted = [
        *(f"status = {query.value(each.value)} AND {able}" for each in statuses),
        *(query.can_do(each) for each in required),
        *(query.can_do(Requirement(each.name)) for each in required),
    ]
    columns = [
        "count(*)",
        *(f"sum(CASE WHEN {condition} THEN 1 ELSE 0 END)" for condition in counted),
        *(f"max({query.level_or_none(each.name)})" for each in required),
    ]
    conditions = (
        f"status <> {query.value(Status.TERMINATED.value)}",
        f"fold = {query.value(FOLD)}",
    )
    ((agents, *found),) = query.rows(
        f"SELECT {', '.join(columns)} {query.agents(tenant, *conditions)}"
    )
    numbers = iter([int(number or 0) for number in found])  # the sums of no rows are null
    by_status = {status: next(numbers) for status in statuses}
    at_level, at_any, best = ([next(numbers) for _ in required] for _ in range(3))
    return Census(
        agents,
        [
            Skilled(requirement, able, anyhow - able, level)
            for requirement, able, anyhow, level in zip(
                required, at_level, at_any, best, strict=True
            )
        ],
        {status: number for status, number in by_status.items() if number},
    )


class _Query:
    """A statement in the making, in the words of the engine. Values are parameters, by name since
    they stand in another order than they are thought of."""

    def __init__(self) -> None:
        self.parameters: dict[str, Any] = {}
        self.is_sqlite = connection.vendor == "sqlite"

    def value(self, value: str | float) -> str:
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        if self.is_sqlite:
            return f"%({name})s"
        # A number that is only written down would be exact, and round where the other does not.
        kind = {str: "text", int: "bigint", float: "double precision"}[type(value)]
        return f"%({name})s::{kind}"

    def real(self, number: str) -> str:
        return f"CAST({number} AS {'REAL' if self.is_sqlite else 'double precision'})"

    def place(self, text: str, part: str) -> str:
        """Where the part begins in the text, counted from 1; 0 when it is not in it."""
        return f"{'instr' if self.is_sqlite else 'strpos'}({text}, {part})"

    def by_bytes(self, column: str) -> str:
        return column if self.is_sqlite else f'{column} COLLATE "C"'

    def can_do(self, required: Requirement) -> str:
        """Whether an agent's labels say so: a level stands in them as `"name":3`."""
        key = f"{_quoted(required.name)}:"
        if required.min_level == limits.MIN_LEVEL:
            return self.has(key)
        levels = range(required.min_level, limits.MAX_LEVEL + 1)
        return f"({' OR '.join(self.has(f'{key}{level}') for level in levels)})"

    def may_do(self, required: Requirement) -> str:
        """The same of labels in whatever form."""
        return self.has(_quoted(required.name))

    def has(self, part: str) -> str:
        return f"{self.place('labels', self.value(part))} > 0"

    def level(self, name: str) -> str:
        """The level of an agent that has the capability."""
        key = f"{_quoted(name)}:"
        digit = f"substr(labels, {self.place('labels', self.value(key))} + {len(key)}, 1)"
        return self.place("'12345'", digit)  # no cast: labels that somebody has spoilt harm nobody

    def level_or_none(self, name: str) -> str:
        return f"CASE WHEN {self.can_do(Requirement(name))} THEN {self.level(name)} END"

    def preferred_first(self, prefer: Preference) -> list[str]:
        conditions = []
        if prefer.agent_id is not None:
            conditions.append(f"agent_id = {self.value(prefer.agent_id)}")
        if prefer.tags:
            begin = f"{_quoted(TAGS)}:["
            behind = f"{self.place('labels', self.value(begin))} + {len(begin)}"
            # A comma before each, which no tag contains, so that none is found within another.
            tags = f"(',' || substr(labels, {behind}))"
            conditions += [
                f"{self.place(tags, self.value(f',{_quoted(tag)}'))} > 0" for tag in prefer.tags
            ]
        return [f"CASE WHEN {' AND '.join(conditions)} THEN 0 ELSE 1 END"] if conditions else []

    def seconds_since(self, column: str, now: datetime) -> str:
        """Whole seconds, never below 0."""
        then = (
            # Without its fraction, which strftime rounds.
            f"CAST(strftime('%%s', substr({column}, 1, 19)) AS INTEGER)"
            if self.is_sqlite
            else f"CAST(floor(extract(epoch FROM {column})) AS bigint)"
        )
        since = f"{self.value(int(now.timestamp()))} - {then}"
        most = "max" if self.is_sqlite else "greatest"
        return f"coalesce({most}(0, {since}), 0)"

    def score(self, required: Sequence[Requirement], now: datetime) -> str:
        """As `routing.Match.score`, in the same order of operations. Of rows by our rules alone."""
        levels = " + ".join(self.real(self.level(each.name)) for each in required)
        completed, failed = self.real("tasks_completed"), self.real("tasks_failed")
        seconds = self.real(self.seconds_since("idle_since", now))
        assumed, good = routing.ASSUMED_TASKS, routing.ASSUMED_COMPLETED
        capability = f"({levels}) / {self.value(5.0 * len(required))}"
        success = (
            f"({completed} + {self.value(good)}) / ({completed} + {failed} + {self.value(assumed)})"
        )
        idle = f"{seconds} / ({seconds} + {self.value(routing.HALF_IDLE_SECONDS)})"
        score = (
            f"{self.value(routing.CAPABILITY_WEIGHT)} * ({capability}) "
            f"+ {self.value(routing.SUCCESS_WEIGHT)} * ({success}) "
            f"+ {self.value(routing.IDLE_WEIGHT)} * ({idle})"
        )
        return f"CASE WHEN fold = {self.value(FOLD)} THEN {score} END"

    def agents(self, tenant: str, *conditions: str) -> str:
        where = " AND ".join((f"tenant_id = {self.value(tenant)}", *conditions))
        return f"FROM agents_currentagent WHERE {where}"

    def rows(self, sql: str) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(sql, self.parameters)
            found: list[Any] = cursor.fetchall()
        return found


def _quoted(name: str) -> str:
    """As it stands in the labels."""
    return msgspec.json.encode(name).decode()
