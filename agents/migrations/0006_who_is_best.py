"""What choosing an agent for a task looks at.

Rows that are there keep their fold, so they are replayed when they are loaded and written anew with
the agent's next event; until then they are the last to be chosen.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents", "0005_fill_deadlines")]

    operations = [
        migrations.AddField(
            model_name="currentagent",
            name="tasks_completed",
            field=models.BigIntegerField(default=0),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="currentagent",
            name="tasks_failed",
            field=models.BigIntegerField(default=0),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="currentagent",
            name="idle_since",
            field=models.DateTimeField(null=True),
        ),
    ]
