"""Leave room on the pages of the rows that every command rewrites; see events.0002."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def leave_room(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE agents_currentagent SET (fillfactor = 50)")
        schema_editor.execute("ALTER TABLE agents_taskclaim SET (fillfactor = 80)")


class Migration(migrations.Migration):
    dependencies = [("agents", "0001_initial")]

    operations = [migrations.RunPython(leave_room, migrations.RunPython.noop)]
