"""After a restore that brought erased keys back, the log tells which are to be destroyed again."""

from events.confidential import erase as erasing
from events.log.verify import verify
from events.models import Event, PayloadKey
from tests.api.conftest import Caller
from tests.confidential.conftest import (
    BY,
    INPUT,
    RESULT,
    assign,
    complete,
    fail,
    read,
    why,
)
from tests.jobs.conftest import manage
from tests.services.conftest import create


def test_keys_that_a_restore_brings_back_are_destroyed_again(acme: str) -> None:
    create(acme, "a-2")
    assign(acme, "t-1")
    complete(acme, "t-1")
    assign(acme, "t-2", "a-2")
    backup = list(PayloadKey.objects.filter(tenant=acme).values())
    erasing.erase(acme, task_id="t-1", reason="x", by=BY)
    erasing.erase(acme, agent_id="a-2", reason="x", by=BY)
    fail(acme, "t-2", "a-2")
    assign(acme, "t-3", "a-2")
    for row in backup:
        PayloadKey.objects.filter(tenant=acme, key_id=row["key_id"]).update(**row)
    assert read(acme) == [INPUT, RESULT, INPUT, INPUT]

    said = manage("reapply_erasures", "--tenant", acme)

    assert said.out == f"{acme}: 2 erasures in the log, 2 keys destroyed.\n"
    assert read(acme) == [*[why("erased")] * 3, INPUT]  # what came after keeps its key
    again = manage("reapply_erasures", "--tenant", acme)
    assert again.out == f"{acme}: 2 erasures in the log, 0 keys destroyed.\n"
    assert verify(acme).seq == Event.objects.filter(tenant=acme).count()


def test_erasures_are_reapplied_in_every_tenant(acme: str, mallory: Caller) -> None:
    assign(acme)
    erasing.erase(acme, task_id="t-1", reason="x", by=BY)

    assert "tenants: " in manage("reapply_erasures").out
    assert manage("reapply_erasures", "--tenant", mallory.tenant).out == (
        f"{mallory.tenant}: 0 erasures in the log, 0 keys destroyed.\n"
    )
