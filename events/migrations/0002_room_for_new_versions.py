"""Leave room on the pages of rows that every append rewrites, so that the new version of a row stays
on its page and no index has to change (PostgreSQL's HOT updates). SQLite has no such thing."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def leave_room(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        # A head is rewritten by every append of its tenant, and few share a page, so that writers
        # of different tenants don't wait for each other's page either.
        schema_editor.execute("ALTER TABLE events_tenanthead SET (fillfactor = 10)")


class Migration(migrations.Migration):
    dependencies = [("events", "0001_initial")]

    operations = [migrations.RunPython(leave_room, migrations.RunPython.noop)]
