"""An audit bundle: a stranger unpacks it, and finds whatever was changed in it."""

import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from events.log.verify import Damaged
from events.models import Event
from events.notes import Signer
from events.patterns import Pattern
from events.signing import NoSigningKey
from events.transfer import bundle, export
from events.verify_export import main
from events.wanted import Wanted
from tests.jobs.conftest import tampering
from tests.jobs.test_verify_log import change
from tests.transfer.draft import SIGNER

STRANGER = Signer("mesh.example.org", bytes(range(1, 33)))
NAMES = [
    "events.jsonl",
    "events.csv",
    "checkpoint.txt",
    "keys.txt",
    "verify.py",
    "manifest.json",
    "manifest.json.sig",
]
Files = dict[str, bytes]
Said = Callable[..., tuple[int, str]]


@pytest.fixture(autouse=True)
def signing(settings: Settings) -> Settings:
    settings.PUBLIC_URL = "https://mesh.example.org"
    settings.SIGNING_KEY = SIGNER.private
    settings.VERIFICATION_KEYS = ()
    return settings


def taken(tenant: str, **asked: Any) -> bytes:
    query = asked.pop("query", {})
    chosen = bundle.of(tenant, query=query, **asked)
    return b"".join(bundle.chunks(chosen, by="user:carol", recorded_as_seq=99))


def unpacked(file: bytes) -> Files:
    with zipfile.ZipFile(BytesIO(file)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files: Mapping[str, bytes]) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def manifest_in(files: Files) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files["manifest.json"])
    return found


def forged(files: Files, signer: Signer = STRANGER, **other: Any) -> Files:
    """As somebody makes them who can do all but sign with our key."""
    said = manifest_in(files) | other
    said["files"] = [
        {
            "name": each["name"],
            "bytes": len(files[each["name"]]),
            "sha256": hashlib.sha256(files[each["name"]]).hexdigest(),
        }
        for each in said["files"]
    ]
    text = json.dumps(said).encode()
    body = f"{signer.name}/bundles/{said['tenant']}\nsha256 {hashlib.sha256(text).hexdigest()}\n"
    return files | {"manifest.json": text, "manifest.json.sig": signer.sign(body).encode()}


@pytest.fixture
def said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Said:
    """`said(file)`: how the verifier ends, and its last line."""

    def run(file: bytes, *arguments: object) -> tuple[int, str]:
        path = tmp_path / "acme.zip"
        path.write_bytes(file)
        code = main([str(path), *map(str, arguments)])
        return code, capsys.readouterr().out.strip().splitlines()[-1]

    return run


def test_a_stranger_unpacks_it_and_verifies_it_with_nothing_but_python(
    lived: str, tmp_path: Path
) -> None:
    with zipfile.ZipFile(BytesIO(taken(lived))) as archive:
        assert archive.namelist() == NAMES
        assert archive.testzip() is None
        archive.extractall(tmp_path)

    done = subprocess.run(
        [sys.executable, "-I", "-S", "verify.py", "--key", str(SIGNER.key)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )

    tip = bytes(Event.objects.get(tenant=lived, seq=26).hash).hex()[:8]
    assert (done.returncode, done.stderr) == (0, "")
    first, *rest = done.stdout.splitlines()
    assert first.startswith('Taken by "user:carol" at "20')
    assert first.endswith("recorded as event 99. Query: {}.")
    assert rest == [
        "Files: all 5 as the manifest says; events.csv says what events.jsonl says.",
        f"Signature: good, of mesh.example.org+{SIGNER.key.id.hex()}.",
        f"OK: {lived}, all 26 events from the log's beginning to 26-{tip}.",
    ]


def test_its_manifest_says_who_took_what_and_when(lived: str) -> None:
    files = unpacked(taken(lived, query={"until": "2100-01-01T00:00:00Z"}))

    said = manifest_in(files)
    assert (said["made_by"], said["recorded_as_seq"]) == ("user:carol", 99)
    assert said["query"] == {"until": "2100-01-01T00:00:00Z"}
    assert (said["from_seq"], said["to_seq"], said["events"], said["holds"]) == (1, 26, 26, "whole")
    assert said["head"]["hash"] == bytes(Event.objects.get(tenant=lived, seq=26).hash).hex()
    assert said["schemas"]["AgentTaskCompletedEvent"] == ["2.0"]
    assert said["signed_by"] == f"mesh.example.org+{SIGNER.key.id.hex()}"
    assert {each["name"]: each["sha256"] for each in said["files"]} == {
        name: hashlib.sha256(files[name]).hexdigest() for name in NAMES[:-2]
    }
    lines = files["events.jsonl"].splitlines()
    assert lines[1:-1] == b"".join(export.jsonl(export.of(lived))).splitlines()[1:-1]


def test_without_a_key_from_elsewhere_it_says_that_the_key_is_the_bundles_own(
    lived: str, said: Said, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "acme.zip"
    path.write_bytes(taken(lived))

    assert main([str(path)]) == 0

    assert "which came in the bundle, so that anybody can have made both" in capsys.readouterr().out


def test_a_time_is_a_part_without_holes_that_can_be_followed(lived: str, said: Said) -> None:
    fifth, tenth = (Event.objects.get(tenant=lived, seq=seq).recorded_at for seq in (5, 10))
    low = Event.objects.filter(tenant=lived, recorded_at__gte=fifth).order_by("seq")[0].seq
    wanted = Wanted(since=fifth, until=tenth + timedelta(microseconds=1))

    file = taken(lived, wanted=wanted, filters={"since": "5", "until": "10"})

    code, last = said(file)
    high = Event.objects.filter(tenant=lived, recorded_at__lte=tenth).order_by("-seq")[0].seq
    assert (code, manifest_in(unpacked(file))["holds"]) == (0, "range")
    assert last.startswith(f"OK: events {low} to {high} of {lived} follow one another")
    checkpoint = unpacked(file)["checkpoint.txt"].decode()
    assert checkpoint.splitlines()[1] == str(high)


@pytest.mark.parametrize(
    ("wanted", "filters", "events"),
    [
        (Wanted(types=Pattern((), ("AgentTask",))), {"types": "AgentTask*"}, None),
        (Wanted(agent=Pattern(("one",), ())), {"agent": "one"}, None),
        (Wanted(agent=Pattern(("nobody",), ())), {"agent": "nobody"}, 0),
    ],
)
def test_picked_events_say_what_cannot_be_checked(
    lived: str, said: Said, wanted: Wanted, filters: dict[str, str], events: int | None
) -> None:
    file = taken(lived, wanted=wanted, filters=filters, query=filters)

    code, last = said(file, "--key", SIGNER.key)

    found = manifest_in(unpacked(file))
    assert (code, found["holds"]) == (0, "picked")
    assert last.startswith(f"OK as far as it goes: {found['events']} of events 1 to 26")
    assert found["events"] == events if events is not None else 0 < found["events"] < 26


def test_of_a_time_and_more_the_part_is_that_of_the_time(lived: str, said: Said) -> None:
    since = Event.objects.get(tenant=lived, seq=9).recorded_at
    low = Event.objects.filter(tenant=lived, recorded_at__gte=since).order_by("seq")[0].seq
    wanted = Wanted(since=since, actor=Pattern(("user:alice",), ()))

    code, last = said(taken(lived, wanted=wanted, filters={"since": "9", "actor": "user:alice"}))

    assert code == 0
    assert f"of events {low} to 26 of {lived}, picked by" in last


def test_a_time_in_which_nothing_happened_gives_a_bundle_of_nothing(lived: str, said: Said) -> None:
    first = Event.objects.get(tenant=lived, seq=1).recorded_at
    code, last = said(taken(lived, wanted=Wanted(until=first), filters={"until": "then"}))

    assert (code, last[:36]) == (0, "OK as far as it goes: 0 of events 1 ")


def test_an_empty_log_has_a_bundle(acme: str, said: Said) -> None:
    assert said(taken(acme))[0] == 0


def test_a_large_one_is_written_in_the_form_for_more_than_2_gib(
    lived: str, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "MOST_IN_A_PLAIN_ZIP", 1)

    assert said(taken(lived), "--key", SIGNER.key)[0] == 0


def test_it_is_made_in_parts(lived: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "PAGE", 5)
    chosen = bundle.of(lived, query={})

    parts = bundle.chunks(chosen, by="user:carol", recorded_as_seq=99)

    assert len(list(parts)) > 2 * 26 // 5


def test_no_signature_no_bundle(lived: str, signing: Settings) -> None:
    signing.SIGNING_KEY = None

    with pytest.raises(NoSigningKey):
        bundle.of(lived, query={})


def test_a_broken_chain_gives_no_bundle_and_no_signature(lived: str) -> None:
    chosen = bundle.of(lived, query={})
    made: list[bytes] = []
    with tampering() as cursor:
        change(cursor, lived, 7, "actor = 'user:nobody'")

        with pytest.raises(Damaged, match="its hash does not follow") as caught:
            made.extend(bundle.chunks(chosen, by="user:carol", recorded_as_seq=99))

    assert caught.value.seq == 7

    assert b"manifest.json" not in b"".join(made)


def test_every_file_counts(lived: str, said: Said) -> None:
    """Each of them changed in one byte, taken out, and one more put in."""
    files = unpacked(taken(lived))
    for name in NAMES:
        content = files[name]
        middle = len(content) // 2
        other = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        code, last = said(packed(files | {name: other}))
        assert (code, name in last) == (1, True), last
        code, last = said(packed({each: files[each] for each in NAMES if each != name}))
        assert (code, f"{name} is missing" in last) == (1, True), last
    assert said(packed(files | {"more.txt": b"x"}))[1].endswith(
        '"more.txt" is no file of a bundle: somebody added it.'
    )


def test_of_changed_events_the_place_is_named(lived: str, said: Said) -> None:
    files = unpacked(taken(lived))
    lines = files["events.jsonl"].splitlines(keepends=True)
    lines[7] = lines[7].replace(b"user:alice", b"user:malin")

    code, last = said(packed(files | {"events.jsonl": b"".join(lines)}))

    assert code == 1
    assert "events.jsonl: line 8: seq 7: its hash does not follow" in last


def test_a_table_that_says_something_else_is_found_though_all_hashes_fit(
    lived: str, said: Said
) -> None:
    files = unpacked(taken(lived))
    files["events.csv"] = files["events.csv"].replace(b"user:alice", b"user:malin", 1)
    code, last = said(packed(forged(files, SIGNER)))
    assert (code, last[-54:]) == (1, "events.csv: row 2 does not say what events.jsonl says.")

    files["events.csv"] += b"99\r\n"
    assert said(packed(forged(files, SIGNER)))[0] == 1


def test_a_bundle_made_by_somebody_else_is_refused_with_our_key(lived: str, said: Said) -> None:
    files = unpacked(taken(lived))
    files["keys.txt"] = f"{STRANGER.key}\n".encode()

    code, last = said(packed(forged(files)), "--key", SIGNER.key)
    assert code == 1
    assert "has not signed manifest.json" in last
    code, last = said(packed(forged(files)))  # its checkpoint is not the stranger's
    assert code == 1
    assert "has not signed the checkpoint" in last


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"to_seq": 25}, "its to_seq is not that of events.jsonl"),
        ({"events": 25}, "its events is not that of events.jsonl"),
        ({"holds": "range"}, "its holds is not that of events.jsonl"),
        ({"tenant": "globex"}, "its tenant is not that of events.jsonl"),
        ({"format_version": 2}, "not that of an audit bundle of version 1"),
        ({"made_by": None}, "does not say its made_by"),
    ],
)
def test_a_manifest_has_to_fit_its_events(
    lived: str, said: Said, other: dict[str, Any], words: str
) -> None:
    code, last = said(packed(forged(unpacked(taken(lived)), SIGNER, **other)))

    assert (code, words in last) == (1, True), last


def test_the_signature_of_one_tenants_bundle_is_none_of_anothers(lived: str, said: Said) -> None:
    files = unpacked(taken(lived))
    manifest = manifest_in(files) | {"tenant": "globex"}

    code, last = said(packed(files | {"manifest.json": json.dumps(manifest).encode()}))

    assert (code, "manifest.json.sig is no signature of this bundle" in last) == (1, True)


def test_a_download_that_broke_off_is_noticed(lived: str, said: Said) -> None:
    file = taken(lived)
    for end in (4, len(file) // 3, len(file) - 1):
        code, last = said(file[:end])
        assert (code, "broke off" in last) == (1, True)


def test_what_is_no_bundle_is_damage_and_no_traceback(lived: str, said: Said) -> None:
    files = unpacked(taken(lived))
    for name in ("manifest.json", "manifest.json.sig", "keys.txt"):
        for content in (b"", b"null", b"[]", b'{"files":[]}', b"\xff", b"[" * 100_000):
            assert said(packed(files | {name: content}))[0] == 1, (name, content)
    assert said(packed({}))[0] == 1


def test_a_bundle_is_held_against_checkpoints_from_before(
    lived: str, said: Said, tmp_path: Path
) -> None:
    file = taken(lived)
    notes = tmp_path / "notes"
    notes.write_bytes(unpacked(file)["checkpoint.txt"])
    assert said(file, "--checkpoint", notes, "--key", SIGNER.key)[0] == 0

    notes.write_bytes(notes.read_bytes().replace(b"\n26\n", b"\n27\n"))
    code, last = said(file, "--checkpoint", notes)
    assert (code, "event 27, which is not in the file" in last) == (1, True)
