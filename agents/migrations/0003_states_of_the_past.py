"""States of the past: see agents.models.AgentState and ADR 111."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("agents", "0002_room_for_new_versions"),
        ("events", "0002_room_for_new_versions"),
    ]

    operations = [
        migrations.CreateModel(
            name="AgentState",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("agent_id", models.CharField(max_length=256)),
                ("version", models.BigIntegerField()),
                ("seq", models.BigIntegerField()),
                ("fold", models.SmallIntegerField()),
                ("state", models.TextField()),
                (
                    "tenant",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="events.tenant",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["tenant", "agent_id", "fold", "seq"], name="agents_agentstate_place"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "agent_id", "version"), name="agents_agentstate_version"
                    )
                ],
            },
        ),
    ]
