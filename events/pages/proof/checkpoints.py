"""The signed notes that are kept here: seen, taken along, and made anew; and whose keys count."""

from dataclasses import dataclass

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_safe

from events import checkpoints, signing
from events.access import Principal, Right
from events.log.checkpoint import Checkpoint, read_note
from events.log.verify import Damaged
from events.models import SignedCheckpoint
from events.notes import BadNote, Key
from events.pages import parameters
from events.pages.frame import render_page, require, tenant_page
from events.pages.proof import verifications
from events.pages.proof.tabs import around
from events.signing import NoSigningKey

PAGE = 50
AT_ONCE = 20_000  # events that are verified while somebody waits for the page


@dataclass(frozen=True, slots=True)
class Kept:
    """A note of the table. place: what it says, None where it is none. key: whose signature is
    good; `is_forged` where it bears one that is not."""

    row: SignedCheckpoint
    place: Checkpoint | None
    key: Key | None
    is_forged: bool

    @classmethod
    def of(cls, row: SignedCheckpoint) -> "Kept":
        try:
            place, note = read_note(row.note)
        except BadNote:
            return cls(row, None, None, is_forged=True)
        try:
            return cls(row, place, note.signed_by(place.of_its_name(signing.keys())), False)
        except BadNote:
            return cls(row, place, None, is_forged=True)


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page
def checkpoint_list(request: HttpRequest, principal: Principal) -> HttpResponse:
    """The newest first; `?before=` goes on. POST makes one."""
    require(request, principal, Right.AUDIT if request.method == "POST" else Right.OVERSEE)
    if request.method == "POST":
        return _make(request, principal)
    before = parameters.position(request, "before")
    rows = list(_before(principal.tenant, before)[: PAGE + 1])
    signer = signing.signer()
    context = {
        **around("checkpoints", "Checkpoints and keys"),
        "checkpoints": [Kept.of(row) for row in rows[:PAGE]],
        "is_first": before is None,
        "newest": parameters.link(request, before=None),
        "older": parameters.link(request, before=rows[PAGE - 1].pk) if rows[PAGE:] else None,
        "keys": signing.keys(),
        "signs": signer.key if signer else None,
    }
    return render_page(request, principal, "proof/checkpoints.html", context)


@require_safe
@tenant_page
def checkpoint_note(request: HttpRequest, principal: Principal, number: int) -> HttpResponse:
    """The note as a file, as it is kept."""
    require(request, principal, Right.OVERSEE)
    if number > parameters.MAX_POSITION:
        raise Http404
    row = SignedCheckpoint.objects.filter(tenant=principal.tenant, pk=number).first()
    if row is None:
        raise Http404
    name = f"{principal.tenant}-{row.seq}.checkpoint.txt"
    return HttpResponse(
        row.note,
        content_type="text/plain; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _make(request: HttpRequest, principal: Principal) -> HttpResponse:
    """At once where little has to be verified before; else it comes at a verification's end."""
    tenant = principal.tenant
    if signing.signer() is None:
        messages.error(request, str(NoSigningKey()))
        return redirect("admin:checkpoints", tenant)
    events = checkpoints.unsigned(tenant) or 0
    if events > AT_ONCE:
        verifications.say_that_it_comes_first(request, events)
        return redirect("admin:verification", tenant, verifications.ask(principal).pk)
    try:
        note = checkpoints.take(tenant)
    except Damaged as damage:
        messages.error(
            request, f"Nothing was signed: seq {damage.seq}: {damage.why} Verify the log to see it."
        )
    else:
        seq = read_note(note)[0].seq
        messages.success(request, f"The log up to seq {seq:,} is signed. Take the note along.")
    return redirect("admin:checkpoints", tenant)


def _before(tenant: str, number: int | None) -> QuerySet[SignedCheckpoint]:
    """Those after the one of this number; all of them when there is none."""
    rows = SignedCheckpoint.objects.filter(tenant=tenant)
    last = rows.filter(pk=number).first() if number else None
    if last is not None:
        rows = rows.filter(Q(seq__lt=last.seq) | Q(seq=last.seq, pk__lt=last.pk))
    return rows.order_by("-seq", "-pk")
