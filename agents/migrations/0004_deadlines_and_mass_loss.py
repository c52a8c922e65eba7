"""When time demands something of an agent, and where a suspicion of a mass loss stands: ADR 121."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("agents", "0003_states_of_the_past"),
        ("events", "0002_room_for_new_versions"),
    ]

    operations = [
        migrations.AddField(
            model_name="currentagent",
            name="due_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="currentagent",
            name="silent_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.CreateModel(
            name="MassLoss",
            fields=[
                (
                    "tenant",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="events.tenant",
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("suspected", "Suspected"),
                            ("confirmed", "Confirmed"),
                            ("resolved", "Resolved"),
                        ],
                        max_length=16,
                    ),
                ),
                ("heard_since", models.DateTimeField(null=True)),
                ("seq", models.BigIntegerField()),
            ],
        ),
    ]
