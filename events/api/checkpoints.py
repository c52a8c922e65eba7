"""/checkpoints of a tenant, and /keys: what vouches for the log, and by whom it is signed."""

import base64
from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec
from django.db.models import Q
from django.http import HttpResponse
from rest_framework.request import Request

from events import signing
from events.access import Right
from events.api.door import Door, TenantDoor, json_response
from events.api.openapi.operation import Operation
from events.api.openapi.shape import LOG_SEQ, MOMENT, TRUTH, listing, or_null, some_of, text, thing
from events.api.paging import cursor_of, key_after, listed, whole_in
from events.log.checkpoint import read_note
from events.models import SignedCheckpoint
from events.moments import rfc3339
from events.notes import BadNote

KEYS = thing(
    "Keys",
    {
        "keys": some_of(
            thing(
                "Key",
                {
                    "name": text(),
                    "id": text(pattern="^[0-9a-f]{8}$"),
                    "verifier_key": text(),
                    "public_key": text().saying("Ed25519, 32 bytes in base64."),
                    "signs": TRUTH,
                },
            )
        )
    },
)
CHECKPOINT = thing(
    "Checkpoint",
    {
        "seq": LOG_SEQ,
        "hash": or_null(text(pattern="^[0-9a-f]{64}$")),
        "note": text().saying("The signed note: docs/verification.md."),
        "made_at": MOMENT,
    },
)
CHECKPOINTS = listing(CHECKPOINT)


class Keys(Door):
    """GET /api/v1/keys: the one that signs, then those that signed before. For anybody."""

    for_anybody = True
    authentication_classes = ()
    operations: ClassVar = {
        "GET": Operation(
            "list_keys",
            "about",
            "The public keys of checkpoints",
            "The one that signs, then those that signed before.",
            answer=KEYS,
        )
    }

    def get(self, _: Request) -> HttpResponse:
        return json_response(msgspec.json.encode({"keys": list(_keys())}))


def _keys() -> Iterator[dict[str, Any]]:
    signer = signing.signer()
    trusted = signing.keys()
    for key in trusted:
        yield {
            "name": key.name,
            "id": key.id.hex(),
            "verifier_key": str(key),
            "public_key": base64.b64encode(key.public).decode(),
            "signs": signer is not None and key == signer.key,
        }


class Checkpoints(TenantDoor):
    """GET /checkpoints: those that were taken here, the newest first."""

    rights: ClassVar = {"GET": Right.OVERSEE}
    known: ClassVar = {"GET": ("cursor", "limit", "min_seq")}
    operations: ClassVar = {
        "GET": Operation(
            "list_checkpoints",
            "events",
            "The signed checkpoints of the log",
            "Those that were taken here, the newest first.",
            answer=CHECKPOINTS,
        )
    }

    def get(self, _: Request, **__: str) -> HttpResponse:
        limit, key = self.query.limit(), key_after(self.query, parts=2)
        head = self.head_seq()
        kept = SignedCheckpoint.objects.filter(tenant=self.tenant)
        if key is not None:
            seq, pk = map(whole_in, key)
            kept = kept.filter(Q(seq__lt=seq) | Q(seq=seq, id__lt=pk))
        found = list(kept.order_by("-seq", "-id")[: limit + 1])
        last = found[limit - 1] if len(found) > limit else None
        cursor = cursor_of(str(last.seq), str(last.pk)) if last else None
        return listed([checkpoint_json(each) for each in found[:limit]], cursor, head)


def checkpoint_json(kept: SignedCheckpoint) -> dict[str, Any]:
    try:
        digest = read_note(kept.note)[0].hash.hex()
    except BadNote:  # it is judged by whoever verifies; here it is shown as it stands
        digest = None
    return {
        "seq": kept.seq,
        "hash": digest,
        "note": kept.note,
        "made_at": rfc3339(kept.made_at),
    }
