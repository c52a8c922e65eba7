"""Taking checkpoints of the logs here, and reading those that come back.

take("acme")                  → the signed note, kept in a table too
keep(verified)                → the same of a log that was verified just now
read(text, trusted)           → the checkpoints of a file, each signed by one of the keys
"""

from collections.abc import Collection, Iterator

from events import notes, signing
from events.log.checkpoint import Checkpoint, at, read_note
from events.log.verify import Damaged, Place, Verified, verify_since
from events.models import SignedCheckpoint, TenantHead
from events.notes import BadNote, Key, Signer
from events.signing import NoSigningKey


class Untrusted(Exception):
    """A file of notes cannot be used: one is none, or signed by nobody whom we trust."""


class Changed(Exception):
    """A note is not what was signed."""


def take(tenant: str) -> str:
    """A signed note of the log up to its end. The same end, signed again, is the same note.

    What came since the newest checkpoint that is kept here is verified first, so that no key of
    ours vouches for what is damaged. Raises NoSigningKey, TenantUnknown and Damaged.
    """
    signer = signing.signer()
    if signer is None:
        raise NoSigningKey
    newest = next(kept(tenant), None)
    verified = verify_since(tenant, Place(newest.seq, newest.hash, met=True) if newest else None)
    checkpoint = at(tenant, verified.seq)
    if newest is not None and newest.log_id != checkpoint.log_id:
        raise Damaged(tenant, 0, f"the checkpoint kept at {newest.seq} is of another log.")
    return _signed(signer, checkpoint)


def keep(verified: Verified) -> str | None:
    """A signed note of a log that was verified whole, from its beginning and just now; None where
    no key signs, or where the log is no longer the one that was verified."""
    signer = signing.signer()
    if signer is None:
        return None
    try:
        checkpoint = at(verified.tenant, verified.seq)
    except LookupError:
        return None
    return _signed(signer, checkpoint) if checkpoint.hash == verified.hash else None


def unsigned(tenant: str) -> int | None:
    """How many events `take` would have to verify before it signs; None for no such tenant."""
    head = TenantHead.objects.filter(tenant=tenant).values_list("seq", flat=True).first()
    newest = next(kept(tenant), None)
    return None if head is None else head - (newest.seq if newest else 0)


def _signed(signer: Signer, checkpoint: Checkpoint) -> str:
    note = signer.sign(str(checkpoint))
    row = SignedCheckpoint(tenant_id=checkpoint.tenant, seq=checkpoint.seq, note=note)
    SignedCheckpoint.objects.bulk_create([row], ignore_conflicts=True)
    return note


def kept(tenant: str) -> Iterator[Checkpoint]:
    """Those in our table that one of our keys has signed, the newest first; others are no
    evidence."""
    rows = SignedCheckpoint.objects.filter(tenant=tenant).order_by("-seq")
    for note in rows.values_list("note", flat=True).iterator(chunk_size=100):
        try:
            checkpoint, signed = read_note(note)
            keys = checkpoint.of_its_name(signing.keys())
            if signed.signed_by(keys) and checkpoint.tenant == tenant:
                yield checkpoint
        except BadNote:
            continue


def read(text: str, trusted: Collection[Key]) -> Iterator[Checkpoint]:
    """The checkpoints of all notes in a text. Raises Untrusted or Changed, naming the note."""
    number = 0
    for number, note_text in enumerate(notes.split(text), start=1):
        try:
            checkpoint, note = read_note(note_text)
        except BadNote as error:
            raise Untrusted(f"Note {number}: {error}") from None
        place = f"Note {number}, {checkpoint.tenant} at {checkpoint.seq}"
        try:
            key = note.signed_by(checkpoint.of_its_name(trusted))
        except BadNote as error:
            raise Changed(f"{place}: {error}") from None
        if key is None:
            raise Untrusted(f"{place}: {_whose(note)}")
        yield checkpoint
    if not number:
        raise Untrusted("There is no note in it.")


def _whose(note: notes.Note) -> str:
    signers = ", ".join(f"{name}+{key_id.hex()}" for name, key_id, _ in note.signatures)
    if not signers:
        return "it is not signed, so anybody can have written it."
    return (
        f"it is signed by {signers}, whom we do not know. Put the verifier key into "
        "AGENTMESH_VERIFICATION_KEYS or give it with --key."
    )
