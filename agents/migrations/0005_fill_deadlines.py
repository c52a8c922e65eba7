"""Gives the agents that are there their deadlines, out of their stored states.

What a deadline is stands here once more, as it was when this was written. A row that cannot be read
is left alone: the next command, or `rebuild agents`, writes it anew.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from django.apps.registry import Apps
from django.db import migrations, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

AT_ONCE = 1_000


def fill(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    every = apps.get_model("agents", "CurrentAgent").objects.using(schema_editor.connection.alias)
    last = 0
    in_service = every.filter(intent__in=("active", "paused"), silent_at=None)
    while rows := list(in_service.filter(pk__gt=last).order_by("pk")[:AT_ONCE]):
        last = rows[-1].pk
        with transaction.atomic(using=schema_editor.connection.alias):
            for row in rows:
                try:
                    found = deadlines(json.loads(row.state))
                except (ValueError, LookupError, TypeError, AttributeError, OverflowError):
                    continue
                # Unless a command has written the row meanwhile.
                every.filter(pk=row.pk, version=row.version, silent_at=None).update(**found)


def deadlines(agent: dict[str, Any]) -> dict[str, datetime]:
    seen = moment(agent["last_seen"] or agent["activated_at"] or agent["created_at"])
    timeout = timedelta(seconds=agent["health_check_timeout_seconds"])
    silent_at = seen + timeout + timedelta(microseconds=1)
    due = []
    if agent["intent"] == "paused" and agent["paused_until"]:
        due.append(moment(agent["paused_until"]))
    if agent["health"] != "unhealthy":
        due.append(silent_at)
    if agent["current_task_id"] is not None:
        due.append(seen + 2 * timeout)
    return {"silent_at": silent_at} | ({"due_at": min(due)} if due else {})


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("agents", "0004_deadlines_and_mass_loss")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop, elidable=True)]
