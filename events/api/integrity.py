"""/integrity: whether the log is what was appended, as last verified; and verifying it anew."""

import uuid
from http import HTTPStatus
from typing import Any, ClassVar

import msgspec
from django.db.models import Q
from django.http import HttpResponse
from rest_framework.request import Request

from events.access import Right
from events.api.checkpoints import CHECKPOINT, checkpoint_json
from events.api.door import SEQ, json_response
from events.api.members import told
from events.api.once import WritingDoor, response_of
from events.api.openapi.operation import Operation, Parameter
from events.api.openapi.shape import (
    COUNT,
    LOG_SEQ,
    MOMENT,
    UUID,
    Shape,
    choice,
    listing,
    or_null,
    text,
    thing,
)
from events.api.paging import cursor_of, key_after, listed, no_such_cursor
from events.api.problem import not_found
from events.idempotency import Answer, Receipt
from events.log import read
from events.models import SignedCheckpoint, Verification
from events.moments import parse_rfc3339, rfc3339
from events.verifications import asking

Status = Verification.Status
STATES = {Status.PASSED: "verified", Status.FAILED: "damaged"}

HASH = text(pattern="^[0-9a-f]{64}$")
PASSED = thing(
    "VerificationPassed",
    {
        "verified_seq": LOG_SEQ.saying("The log is whole up to this seq."),
        "hash": HASH.saying("Of that event; of an empty log its own."),
        "checkpoints": COUNT.saying("So many of those that are kept here hold."),
        "newest_checkpoint_seq": or_null(LOG_SEQ),
    },
)
FAILED = thing(
    "VerificationFailed",
    {
        "first_bad_seq": LOG_SEQ.saying("0 stands for the log as such."),
        "last_bad_seq": or_null(LOG_SEQ).saying(
            "Where it is only known to lie between two, the second of them."
        ),
        "why": text(),
    },
)
VERIFICATION = thing(
    "Verification",
    {
        "id": UUID,
        "status": choice(Status.values),
        "requested_by": text(),
        "requested_at": MOMENT,
        "started_at": or_null(MOMENT),
        "finished_at": or_null(MOMENT),
        "progress": thing(
            None,
            {
                "seq": LOG_SEQ.saying("How far it has come."),
                "head": LOG_SEQ.saying("Where the log ended when that was written."),
            },
        ),
        "result": Shape({"anyOf": [PASSED, FAILED, {"type": "null"}]}),
    },
)
INTEGRITY = thing(
    "Integrity",
    {
        "status": choice((*STATES.values(), "unverified")).saying("As last verified."),
        "head": thing(None, {"seq": LOG_SEQ, "hash": HASH, "recorded_at": MOMENT}),
        "verified_seq": or_null(LOG_SEQ).saying("Up to where it was last found whole."),
        "last_verification": or_null(VERIFICATION),
        "open_verification": or_null(VERIFICATION),
        "last_checkpoint": or_null(CHECKPOINT),
    },
)


class Integrity(WritingDoor):
    """GET /integrity"""

    rights: ClassVar = {"GET": Right.OVERSEE}
    known: ClassVar = {"GET": ("min_seq",)}
    operations: ClassVar = {
        "GET": Operation(
            "read_integrity",
            "events",
            "Whether the log is what was appended, as last verified",
            "What it says stands in the database that is in doubt: docs/verification.md.",
            answer=INTEGRITY,
        )
    }

    def get(self, _: Request, **__: str) -> HttpResponse:
        self.head_seq()  # for min_seq
        head = read.head(self.tenant)
        if head is None:
            raise not_found()
        last, passed = asking.last(self.tenant), asking.last_passed(self.tenant)
        going_on = asking.going_on(self.tenant)
        kept = SignedCheckpoint.objects.filter(tenant=self.tenant).order_by("-seq", "-id").first()
        body = {
            "status": STATES[Status(last.status)] if last else "unverified",
            "head": {
                "seq": head.seq,
                "hash": head.hash.hex(),
                "recorded_at": rfc3339(head.recorded_at),
            },
            "verified_seq": passed.seq if passed else None,
            "last_verification": verification_json(last) if last else None,
            "open_verification": verification_json(going_on) if going_on else None,
            "last_checkpoint": checkpoint_json(kept) if kept else None,
        }
        return json_response(msgspec.json.encode(body), headers={SEQ: str(head.seq)})


class Verifications(WritingDoor):
    """GET and POST /integrity/verifications"""

    rights: ClassVar = {"GET": Right.OVERSEE, "POST": Right.AUDIT}
    known: ClassVar = {"GET": ("cursor", "limit", "min_seq")}
    operations: ClassVar = {
        "GET": Operation(
            "list_verifications",
            "events",
            "Verifications of the log",
            "The newest first.",
            answer=listing(VERIFICATION),
        ),
        "POST": Operation(
            "verify_log",
            "events",
            "Verify the log",
            "The worker computes every hash again, up to the end of the log as it is when it gets "
            "there. While one is open, that one is the answer.",
            answer=VERIFICATION,
            status=HTTPStatus.ACCEPTED,
            headers=("Location",),
        ),
    }

    def get(self, _: Request, **__: str) -> HttpResponse:
        limit, key = self.query.limit(), key_after(self.query, parts=2)
        seq = self.head_seq()
        asked = asking.of(self.tenant)
        if key is not None:
            try:
                moment, pk = parse_rfc3339(key[0]), uuid.UUID(key[1])
            except ValueError:
                raise no_such_cursor() from None
            asked = asked.filter(Q(requested_at__lt=moment) | Q(requested_at=moment, id__lt=pk))
        found = list(asked[: limit + 1])
        last = found[limit - 1] if len(found) > limit else None
        cursor = cursor_of(rfc3339(last.requested_at), str(last.id)) if last else None
        return listed([verification_json(each) for each in found[:limit]], cursor, seq)

    def post(self, request: Request, **_: str) -> HttpResponse:
        self.order(request)
        once = self.once(request)

        def execute() -> HttpResponse:
            receipt = Receipt(self._accepted, once)
            asking.ask(self.tenant, by=self.principal.actor, receipt=receipt)
            return response_of(told(receipt))

        return self.answer_once(once, execute)

    def _accepted(self, asked: Verification) -> Answer:
        location = f"/api/v1/tenants/{self.tenant}/integrity/verifications/{asked.id}"
        return Answer(HTTPStatus.ACCEPTED, verification_json(asked), location)


class OneVerification(WritingDoor):
    """GET /integrity/verifications/{verification_id}"""

    rights: ClassVar = {"GET": Right.OVERSEE}
    known: ClassVar = {"GET": ("min_seq",)}
    parameters: ClassVar = {"verification_id": Parameter(UUID, "The verification's `id`.")}
    operations: ClassVar = {
        "GET": Operation("read_verification", "events", "One verification", answer=VERIFICATION)
    }

    def object_exists(self) -> bool:
        return self._verification() is not None

    def get(self, _: Request, **__: str) -> HttpResponse:
        seq = self.head_seq()
        found = self._verification()
        if found is None:
            raise not_found()
        return response_of(Answer(HTTPStatus.OK, verification_json(found), seq=seq))

    def _verification(self) -> Verification | None:
        try:
            pk = uuid.UUID(self.kwargs["verification_id"])
        except ValueError:
            return None
        return Verification.objects.filter(tenant=self.tenant, pk=pk).first()


def verification_json(asked: Verification) -> dict[str, Any]:
    return {
        "id": str(asked.id),
        "status": asked.status,
        "requested_by": asked.requested_by,
        "requested_at": rfc3339(asked.requested_at),
        "started_at": asked.started_at and rfc3339(asked.started_at),
        "finished_at": asked.finished_at and rfc3339(asked.finished_at),
        "progress": {"seq": asked.seq, "head": asked.head},
        "result": _result_json(asked),
    }


def _result_json(asked: Verification) -> dict[str, Any] | None:
    if asked.status == Status.PASSED:
        return {
            "verified_seq": asked.seq,
            "hash": bytes(asked.place_hash or b"").hex(),
            "checkpoints": asked.checkpoints,
            "newest_checkpoint_seq": asked.newest_checkpoint,
        }
    if asked.status == Status.FAILED:
        return {
            "first_bad_seq": asked.bad_seq,
            # Where all that is known is that it lies between two checkpoints, the second of them.
            "last_bad_seq": asked.bad_last,
            "why": asked.why,
        }
    return None
