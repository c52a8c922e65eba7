"""Checkpoints leave the machine; when they come back, the log is held against them."""

import base64
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import CommandError
from django.db.backends.utils import CursorWrapper
from pytest_django import Settings

from events import notes, tenants
from events.log.checkpoint import at
from events.log.verify import verify
from events.models import SignedCheckpoint, Tenant, TenantHead
from events.notes import Key, Signer
from tests.jobs.conftest import live_a_little, make_agent, manage, shell, tampering
from tests.prove import owner

SEED, EARLIER = bytes(range(32)), bytes(range(1, 33))
HOST = "mesh.example.org"
TRUSTED = ("--key", str(Signer("127.0.0.1", SEED).key))  # what a process of ours signs as


@pytest.fixture(autouse=True)
def signing(settings: Settings) -> Settings:
    """The environment has a key to sign with."""
    settings.PUBLIC_URL = f"https://{HOST}"
    settings.SIGNING_KEY = SEED
    settings.VERIFICATION_KEYS = ()
    return settings


@pytest.fixture
def lived(acme: str) -> str:
    live_a_little(acme)
    return acme


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the notes are kept, on another machine."""
    return tmp_path / "checkpoints"


def note_at(tenant: str, seq: int | None = None, signer: Signer | None = None) -> str:
    signer = signer or Signer(HOST, SEED)
    return signer.sign(str(replace(at(tenant, seq), name=signer.name)))


def forge(cursor: CursorWrapper, tenant: str, edit: Callable[[list[dict[str, Any]]], Any]) -> None:
    """Rewrite the log so that all its hashes fit."""
    rows, log_id = owner.load(tenant), Tenant.objects.get(slug=tenant).log_id
    edit(rows)
    owner.chain_again(log_id, rows)
    owner.replace(cursor, tenant, log_id, rows)


def actor_of(seq: int) -> Callable[[list[dict[str, Any]]], None]:
    return lambda rows: rows[seq - 1].update(actor="user:mallory")


def delete_tenant(cursor: CursorWrapper, tenant: str) -> None:
    for table in ("event", "tenanthead", "token"):
        cursor.execute(f"DELETE FROM events_{table} WHERE tenant_id = %s", [tenant])
    cursor.execute("DELETE FROM events_tenant WHERE slug = %s", [tenant])


def failed(*arguments: str) -> CommandError:
    with pytest.raises(CommandError) as caught:
        manage(*arguments)
    assert "\n" not in str(caught.value)
    return caught.value


def found(tenant: str, file: Path) -> str:
    """What verify_log says is wrong with the tenant, judged with the notes of the file."""
    error = failed("verify_log", "--tenant", tenant, "--checkpoint", str(file))
    assert error.returncode == 1
    return str(error).removeprefix(f"{tenant}: ")


class TestTaking:
    def test_the_note_alone_is_printed_and_the_result_goes_beside_it(self, lived: str) -> None:
        said = manage("checkpoint", "--tenant", lived)

        assert said.out == note_at(lived)
        assert said.err == f"1 checkpoint signed by {HOST}+{Signer(HOST, SEED).key.id.hex()}.\n"

    def test_the_notes_of_several_tenants_can_be_told_apart(
        self, lived: str, globex: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        here = "events.management.commands.checkpoint._tenants"
        monkeypatch.setattr(here, lambda: [lived, globex])

        twice = manage("checkpoint").out + manage("checkpoint").out

        assert list(notes.split(twice)) == [note_at(lived), note_at(globex)] * 2

    def test_the_same_end_is_the_same_note_and_kept_once(self, lived: str) -> None:
        first = manage("checkpoint", "--tenant", lived).out
        again = manage("checkpoint", "--tenant", lived).out
        make_agent(lived, "another")
        later = manage("checkpoint", "--tenant", lived).out

        assert first == again != later
        kept = SignedCheckpoint.objects.filter(tenant=lived).order_by("seq")
        assert [each.note for each in kept] == [first, later]

    def test_without_a_key_nothing_is_signed(self, lived: str, signing: Settings) -> None:
        signing.SIGNING_KEY = None

        assert "Set AGENTMESH_SIGNING_KEY" in str(failed("checkpoint", "--tenant", lived))

    def test_the_keys_can_be_seen_without_a_server(self, signing: Settings) -> None:
        earlier = Signer(HOST, EARLIER).key
        signing.VERIFICATION_KEYS = (str(earlier),)

        said = manage("checkpoint", "--keys")

        assert said.out.splitlines() == [str(Signer(HOST, SEED).key), str(earlier)]

    def test_a_damaged_log_is_not_signed_and_the_others_are(
        self, lived: str, globex: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        here = "events.management.commands.checkpoint._tenants"
        monkeypatch.setattr(here, lambda: [lived, globex])
        with tampering() as cursor:
            cursor.execute(
                "UPDATE events_event SET actor = 'x' WHERE tenant_id = %s AND seq = 5", [lived]
            )

            error = failed("checkpoint")

        assert str(error).endswith(f"Not signed: {lived}. See verify_log.")

    def test_what_does_not_follow_from_the_last_checkpoint_is_not_signed(self, lived: str) -> None:
        manage("checkpoint", "--tenant", lived)
        make_agent(lived, "another")
        with tampering() as cursor:
            forge(cursor, lived, actor_of(3))

            assert "Not signed" in str(failed("checkpoint", "--tenant", lived))

    def test_a_log_that_has_become_shorter_is_not_signed(self, lived: str) -> None:
        manage("checkpoint", "--tenant", lived)
        with tampering() as cursor:
            forge(cursor, lived, lambda rows: rows.pop())

            assert "Not signed" in str(failed("checkpoint", "--tenant", lived))

    def test_a_note_that_somebody_put_into_the_table_is_no_evidence(self, lived: str) -> None:
        stranger = note_at(lived, 2, Signer(HOST, EARLIER))
        for note in (stranger, "nonsense", note_at(lived, 3).replace("\n3\n", "\n4\n")):
            SignedCheckpoint.objects.create(tenant_id=lived, seq=2**40, note=note)

        assert manage("checkpoint", "--tenant", lived).out == note_at(lived)

    def test_the_shell_can_collect_them(
        self, lived: str, subprocess_env: dict[str, str], file: Path
    ) -> None:
        key = base64.b64encode(SEED).decode()
        env = subprocess_env | {"AGENTMESH_SIGNING_KEY": key}

        taken = shell(env, "checkpoint", "--tenant", lived)
        file.write_text(taken.stdout)
        said = manage("verify_log", "--tenant", lived, "--checkpoint", str(file), *TRUSTED)

        assert taken.returncode == 0
        assert taken.stderr.startswith("1 checkpoint signed by ")
        assert "1 checkpoint holds" in said.out
        assert said.err == ""  # no progress where nobody looks on


class TestJudging:
    def test_a_log_as_its_checkpoints_say_is_whole(self, lived: str, file: Path) -> None:
        last = verify(lived).seq
        file.write_text("\n".join(note_at(lived, seq) for seq in (last, 0, 7, 7, 1)))
        make_agent(lived, "another")

        said = manage("verify_log", "--tenant", lived, "--checkpoint", str(file))

        held = f"4 checkpoints hold, the last is at {last} and 1 event came after it"
        assert said.out == f"{verify(lived)}; {held}\n"

    def test_a_rewrite_lies_between_the_last_good_and_the_first_bad_checkpoint(
        self, lived: str, file: Path
    ) -> None:
        file.write_text("".join(note_at(lived, seq) for seq in (20, 4, 9, 15)))
        with tampering() as cursor:
            forge(cursor, lived, actor_of(12))

            assert verify(lived).seq  # its hashes fit
            told = found(lived, file)

        assert told.startswith("seq 10 to 15: something here was changed, and every hash")
        assert told.endswith("has another hash, that at 9 holds.")

    @pytest.mark.parametrize("changed", [1, 2, 15])
    def test_with_one_checkpoint_it_lies_anywhere_before(
        self, lived: str, file: Path, changed: int
    ) -> None:
        file.write_text(note_at(lived, 15))
        with tampering() as cursor:
            forge(cursor, lived, actor_of(changed))

            assert found(lived, file).startswith("seq 1 to 15: ")

    def test_checkpoints_of_the_rewritten_log_tell_when_it_was_done(
        self, lived: str, file: Path
    ) -> None:
        file.write_text(note_at(lived, 4) + note_at(lived, 15))
        with tampering() as cursor:
            forge(cursor, lived, actor_of(12))
            with file.open("a") as more:
                more.write(note_at(lived, 20))

            told = found(lived, file)

        assert told.startswith("seq 5 to 15: ")
        assert told.endswith("Checkpoints from 20 on were made of the changed log.")

    def test_of_two_checkpoints_that_contradict_each_other_one_is_of_a_changed_log(
        self, lived: str, file: Path
    ) -> None:
        file.write_text(note_at(lived, 15))
        with tampering() as cursor:
            forge(cursor, lived, actor_of(12))
            with file.open("a") as more:
                more.write(note_at(lived, 15))

            told = found(lived, file)

        assert told.startswith("seq 1 to 15: ")
        assert told.endswith("Checkpoints from 15 on were made of the changed log.")

    def test_a_tail_that_was_cut_off_with_the_head_set_back_is_found(
        self, lived: str, file: Path
    ) -> None:
        file.write_text(note_at(lived, 8) + note_at(lived, 20))
        with tampering() as cursor:
            forge(cursor, lived, lambda rows: rows.__delitem__(slice(17, None)))

            assert verify(lived).seq == 17
            told = found(lived, file)

        assert told.startswith("seq 18: the log ends at 17, before the checkpoint at 20 (recorded ")
        assert "its tail was cut off, or an older backup restored." in told
        assert told.endswith("The checkpoint at 8 holds; none vouches for 9 to 17.")

    def test_an_emptied_log_is_found(self, lived: str, file: Path) -> None:
        file.write_text(note_at(lived, 0) + note_at(lived, 1))
        with tampering() as cursor:
            forge(cursor, lived, lambda rows: rows.clear())

            assert found(lived, file).startswith("seq 1: the log ends at 0, before the checkpoint")

    def test_a_deleted_tenant_is_found_with_and_without_naming_it(
        self, lived: str, file: Path
    ) -> None:
        file.write_text(note_at(lived, 20))
        with tampering() as cursor:
            delete_tenant(cursor, lived)

            told = found(lived, file)
            error = failed("verify_log", "--checkpoint", str(file))

        assert told.startswith("seq 0: there is no such tenant, but the checkpoint at 20")
        assert str(error) == f"{lived}: {told}"

    def test_a_tenant_that_was_made_again_is_found(self, acme: str, file: Path) -> None:
        before = Tenant.objects.get(slug=acme).log_id
        file.write_text(note_at(acme, 0))
        with tampering() as cursor:
            delete_tenant(cursor, acme)
            tenants.create_tenant(acme)

            assert verify(acme).seq == 0
            told = found(acme, file)

        assert told.startswith("seq 0: it is not the log of the checkpoint at 0")
        assert f"whose id is {before}" in told

    @pytest.mark.parametrize(("broken", "told"), [(12, "seq 5 to 10: "), (7, "seq 7: its hash")])
    def test_of_a_rewrite_and_a_broken_chain_the_earlier_is_named(
        self, lived: str, file: Path, broken: int, told: str
    ) -> None:
        file.write_text(note_at(lived, 4) + note_at(lived, 10))
        with tampering() as cursor:
            forge(cursor, lived, actor_of(6))
            cursor.execute(
                "UPDATE events_event SET reason = '!' WHERE tenant_id = %s AND seq = %s",
                [lived, broken],
            )

            assert found(lived, file).startswith(told)

    def test_a_broken_chain_is_told_with_the_last_checkpoint_that_holds(
        self, lived: str, file: Path
    ) -> None:
        file.write_text(note_at(lived, 4) + note_at(lived, 20))
        with tampering() as cursor:
            cursor.execute(
                "UPDATE events_event SET reason = '!' WHERE tenant_id = %s AND seq = 9", [lived]
            )

            told = found(lived, file)

        assert told == (
            "seq 9: its hash does not follow: it or its place was changed. The checkpoint at 4 "
            "holds."
        )

    def test_a_checkpoint_of_the_very_event_that_breaks_the_chain_is_not_compared(
        self, lived: str, file: Path
    ) -> None:
        file.write_text(note_at(lived, 4) + note_at(lived, 9))
        with tampering() as cursor:
            cursor.execute(
                "UPDATE events_event SET hash = %s WHERE tenant_id = %s AND seq = 9",
                [b"x" * 32, lived],
            )

            assert found(lived, file).startswith("seq 9: its hash does not follow")

    def test_the_checkpoints_of_others_do_not_matter_to_a_tenant(
        self, lived: str, globex: str, file: Path
    ) -> None:
        make_agent(globex, "one")
        file.write_text(note_at(globex) + note_at(lived))
        with tampering() as cursor:
            forge(cursor, globex, actor_of(1))

            said = manage("verify_log", "--tenant", lived, "--checkpoint", str(file))
            assert "1 checkpoint holds" in said.out
            assert found(globex, file).startswith("seq 1: something here")

    def test_what_came_after_the_last_checkpoint_can_be_rewritten_unseen(
        self, lived: str, file: Path
    ) -> None:
        """The one thing that no checkpoint shows; docs/verification.md says so."""
        file.write_text(note_at(lived, 10))
        with tampering() as cursor:
            forge(cursor, lived, actor_of(11))

            said = manage("verify_log", "--tenant", lived, "--checkpoint", str(file))

        last = TenantHead.objects.get(tenant=lived).seq
        assert f"the last is at 10 and {last - 10} events came after it" in said.out


class TestTrusting:
    def refused(self, tenant: str, file: Path, *more: str) -> str:
        error = failed("verify_log", "--tenant", tenant, "--checkpoint", str(file), *more)
        assert error.returncode == 2
        return str(error)

    def test_a_changed_note_says_so(self, lived: str, file: Path) -> None:
        file.write_text(note_at(lived, 3) + note_at(lived, 4).replace("\n4\n", "\n5\n"))

        error = failed("verify_log", "--checkpoint", str(file))

        assert error.returncode == 1
        assert f"Note 2, {lived} at 5: The signature of {HOST} does not fit" in str(error)

    def test_a_note_without_a_signature_is_refused(self, lived: str, file: Path) -> None:
        file.write_text(str(at(lived)))

        assert "is not signed, so anybody can have written it" in self.refused(lived, file)

    def test_a_note_of_an_unknown_key_is_refused_until_the_key_is_given(
        self, lived: str, file: Path
    ) -> None:
        stranger = Signer("elsewhere.example.org", EARLIER)
        file.write_text(note_at(lived, 4, stranger))

        told = self.refused(lived, file)
        assert f"signed by elsewhere.example.org+{stranger.key.id.hex()}, whom" in told
        assert "AGENTMESH_VERIFICATION_KEYS" in told
        key = ("--key", str(Signer("another", SEED).key), "--key", str(stranger.key))
        said = manage("verify_log", "--tenant", lived, "--checkpoint", str(file), *key)
        assert "1 checkpoint holds" in said.out

    def test_nobody_vouches_for_the_log_of_another_installation(
        self, lived: str, file: Path
    ) -> None:
        partner = Signer("partner.example.org", EARLIER)
        file.write_text(partner.sign(str(at(lived, 4))))

        with pytest.raises(CommandError, match=r"signed by partner\.example\.org"):
            manage("verify_log", "--checkpoint", str(file), "--key", str(partner.key))

    def test_a_key_that_signed_before_counts_after_a_rotation(
        self, lived: str, file: Path, signing: Settings
    ) -> None:
        file.write_text(note_at(lived, 4))
        signing.SIGNING_KEY = EARLIER
        assert "whom we do not know" in self.refused(lived, file)

        signing.VERIFICATION_KEYS = (str(Signer(HOST, SEED).key),)
        with file.open("a") as more:
            more.write(manage("checkpoint", "--tenant", lived).out)

        said = manage("verify_log", "--tenant", lived, "--checkpoint", str(file))
        assert "2 checkpoints hold" in said.out

    @pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe", b"hello\n", b"a\n\nb\n"])
    def test_a_file_without_notes_is_refused(self, lived: str, file: Path, content: bytes) -> None:
        file.write_bytes(content)

        assert str(file) in self.refused(lived, file)

    def test_a_signed_text_that_is_no_checkpoint_is_refused(self, lived: str, file: Path) -> None:
        file.write_text(Signer(HOST, SEED).sign("If you think cryptography is the answer\n"))

        assert "Note 1: It is no checkpoint of a log." in self.refused(lived, file)

    def test_a_file_that_is_not_there_and_wrong_arguments_are_refused(
        self, lived: str, file: Path
    ) -> None:
        assert "cannot be read: No such file" in self.refused(lived, file)
        file.write_text(note_at(lived))
        assert "A verifier key is" in self.refused(lived, file, "--key", "nonsense")
        assert failed("verify_log", "--key", str(Key(HOST, SEED))).returncode == 2
        for jobs in ("0", "65"):
            assert failed("verify_log", "--jobs", jobs).returncode == 2

    def test_a_file_that_came_by_way_of_windows_is_read(self, lived: str, file: Path) -> None:
        text = (note_at(lived, 3) + note_at(lived, 4)).replace("\n", "\r\n")
        file.write_bytes(b"\xef\xbb\xbf" + text.encode())

        said = manage("verify_log", "--tenant", lived, "--checkpoint", str(file))

        assert "2 checkpoints hold" in said.out

    def test_notes_come_from_a_pipe_too(self, lived: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(note_at(lived).encode())))

        said = manage("verify_log", "--tenant", lived, "--checkpoint", "-")

        assert "1 checkpoint holds" in said.out


def test_a_tenant_without_a_checkpoint_must_be_there(lived: str, file: Path) -> None:
    file.write_text(note_at(lived))

    error = failed("verify_log", "--tenant", "nowhere", "--checkpoint", str(file))

    assert "There is no tenant 'nowhere'" in str(error)


def test_a_log_of_which_no_checkpoint_is_there_does_not_pass_for_one_that_was_held(
    lived: str, globex: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(note_at(lived))

    error = failed("verify_log", "--tenant", globex, "--checkpoint", str(file))

    assert (error.returncode, str(error)) == (2, f"{file} holds no checkpoint of {globex}.")
    monkeypatch.setattr("events.management.commands.verify_log.logs", lambda: [lived, globex])
    lines = manage("verify_log", "--checkpoint", str(file)).out.splitlines()
    told = [line for line in lines if line.endswith("; none of the checkpoints is of it")]
    assert [line.split(":")[0] for line in told] == [globex]
