"""A stranger's verifier: one file of Python, which must notice whatever happens to an export."""

import ast
import base64
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from events import verify_export
from events.notes import Signer
from events.verify_export import ORDER, PRIME, Damaged, Reading, has_signed, main
from tests.transfer.draft import SIGNER, Draft, spelt, story

VERIFIER = Path(verify_export.__file__)
STRANGER = Signer("mesh.example.org", bytes(range(1, 33)))
Change = Callable[[Draft], object]
RFC_8032 = (  # the third of its tests: public key, signature, message
    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    (
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    ),
    "af82",
)


@pytest.fixture
def told() -> Draft:
    return story("acme")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "acme.jsonl"


def verdict(file: bytes) -> str:
    reading = Reading(BytesIO(file), [])
    reading.run()
    return reading.statements[-1]


def damage(file: bytes) -> str:
    with pytest.raises(Damaged) as caught:
        verdict(file)
    return str(caught.value)


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code = main([str(each) for each in arguments])
    return code, capsys.readouterr().out.strip().splitlines()[-1]


def part(told: Draft, first: int, last: int) -> Draft:
    found = told.copy()
    found.header |= {
        "from_seq": first,
        "to_seq": last,
        "prior_hash": told.events[first - 2]["hash"],
    }
    found.events = found.events[first - 1 : last]
    return found


def picked(told: Draft, *seqs: int) -> Draft:
    found = told.copy()
    found.header |= {"filters": {"types": "AgentTask*"}}
    found.events = [event for event in found.events if event["seq"] in seqs]
    return found


def test_a_copied_verifier_needs_nothing_but_python(told: Draft, tmp_path: Path) -> None:
    copied, file = tmp_path / "verify.py", tmp_path / "acme.jsonl"
    copied.write_bytes(VERIFIER.read_bytes())
    file.write_bytes(told.file())

    done = subprocess.run(
        [sys.executable, "-I", "-S", str(copied), str(file)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )

    tip = told.events[-1]["hash"][:8]
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "Signature: of mesh.example.org, not checked. Give --key to have it checked.\n"
        f"OK: acme, all 13 events from the log's beginning to 13-{tip}.\n"
    )


def test_the_verifier_is_python_3_8_and_imports_nothing_of_ours() -> None:
    tree = ast.parse(VERIFIER.read_text(encoding="utf-8"), feature_version=(3, 8))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }

    assert imported - {"__future__"} <= set(sys.stdlib_module_names)


def test_every_single_byte_counts(told: Draft) -> None:
    """Each byte of a file once, changed to a byte drawn by chance; and the file cut off there."""
    told.events = told.events[:3]
    file, drawn = told.chained().file(), Random(20260301)
    assert "OK" in verdict(file)
    unnoticed = []
    for place in range(len(file)):
        other = drawn.choice([byte for byte in (*range(256),) if byte != file[place]])
        for changed in (file[:place] + bytes([other]) + file[place + 1 :], file[:place]):
            try:
                verdict(changed)
            except Damaged:
                continue
            unnoticed.append((place, other))

    assert unnoticed == []


def test_lines_cannot_change_places_or_stand_twice(told: Draft) -> None:
    lines = told.file().splitlines(keepends=True)
    for wrong in (
        [*lines[:2], lines[3], lines[2], *lines[4:]],
        [*lines[:3], *lines[2:]],
        [*lines[:2], *lines[3:]],
        lines[:-1],
        lines[1:],
        [*lines, lines[-1]],
        [*lines, b"\n"],
        [],
    ):
        assert damage(b"".join(wrong))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.events[4].update(data=d.events[4]["data"] + " "), "seq 5: its hash"),
        (lambda d: d.events[4].update(reason=""), "seq 5: its hash"),
        (lambda d: d.events[4].update(version=5), "seq 5: its version 5 does not follow"),
        (lambda d: d.events[4].update(seq=True), "its seq is no whole number"),
        (lambda d: d.events[4].update(seq=2**70), "event 5 is missing"),
        (lambda d: d.events[4].update(actor=None), "its actor is no text"),
        (lambda d: d.events[4].update(recorded_at="2026-02-30T00:00:00.000000Z"), "day is out"),
        (lambda d: d.events[4].update(recorded_at="2020-03-01T12:00:00.000000Z"), "before the"),
        (lambda d: d.events[4].update(occurred_at="2026-03-01T12:00:00Z"), "is no moment"),
        (lambda d: d.events[4].update(event_id="x"), "badly formed"),
        (lambda d: d.events[4].update(more=1), "no object with the keys"),
        (lambda d: d.events[4].pop("origin"), "no object with the keys"),
        (lambda d: d.events.pop(), "promises events up to 13; they end at 12"),
        (lambda d: d.header.update(format="other"), "line 1: it is no header"),
        (lambda d: d.header.update(format_version=2), "line 1: it is no header"),
        (lambda d: d.header.update(filters={}), "neither null nor"),
        (lambda d: d.header.update(log_id="0" * 8 + d.header["log_id"][8:]), "does not follow"),
        (lambda d: d.header.update(to_seq=0, from_seq=5), "it has no events 5 to 0"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(told: Draft, change: Change, words: str) -> None:
    note = told.checkpoint()
    change(told)

    assert words in damage(told.file(note))


@pytest.mark.parametrize(
    "other",
    [
        {"seq": 12},
        {"hash": "00" * 32},
        {"tenant": "globex"},
        {"recorded_at": "2026-03-01T12:00:00.000000Z"},
        {"log_id": "0195a1b2-c3d4-7001-8001-0123456789ab"},
    ],
)
def test_the_checkpoint_must_be_the_one_of_the_last_event(
    told: Draft, other: dict[str, Any]
) -> None:
    assert "line 15: the checkpoint" in damage(told.file(told.checkpoint(**other)))


def test_a_part_says_what_it_proves(told: Draft) -> None:
    found = verdict(part(told, 5, 9).file())

    assert found.startswith("OK: events 5 to 9 of acme follow one another up to 9-")
    assert found.endswith("What was before them is not in the file.")
    wrong = part(told, 5, 9)
    wrong.header["prior_hash"] = "00" * 32
    assert "seq 5: its hash does not follow" in damage(wrong.file())


def test_a_filtered_file_says_what_cannot_be_checked(told: Draft) -> None:
    found = verdict(picked(told, 5, 6, 7, 9).file(told.checkpoint()))

    assert "4 of events 1 to 13 of acme" in found
    assert "2 follow the event before them" in found
    assert "cannot be checked" in found
    wrong = picked(told, 5, 6, 7, 9)
    wrong.events[1]["actor"] = "user:bob"
    assert "seq 6: its hash does not follow" in damage(wrong.file(told.checkpoint()))


def test_a_file_cannot_make_the_terminal_say_what_the_verifier_does_not(
    told: Draft, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever makes a file chooses the names of its signers and its filters."""
    erasing = "x\x1b[2K\rSignature:good"
    note = told.checkpoint() + f"\u2014 {erasing} {base64.b64encode(bytes(68)).decode()}\n"
    path.write_bytes(told.file(note))
    assert main([str(path)]) == 1
    assert "\x1b" not in capsys.readouterr().out

    told.header["filters"] = {"q": "\u202e\x9b2K\u6f22"}
    path.write_bytes(told.file())
    assert main([str(path)]) == 0
    assert capsys.readouterr().out.isascii()


def test_an_empty_log_has_an_export(told: Draft) -> None:
    told.events.clear()

    assert "all 0 events" in verdict(told.chained().file())


def test_a_signature_is_checked_with_its_key(
    told: Draft, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_bytes(told.file())
    code, last = said(capsys, path, "--key", SIGNER.key)
    assert (code, last[:3]) == (0, "OK:")
    assert said(capsys, path, "--key", STRANGER.key, "--key", SIGNER.key)[0] == 0
    code, last = said(capsys, path, "--key", STRANGER.key)
    assert code == 1
    assert f"mesh.example.org+{STRANGER.key.id.hex()} has not signed the checkpoint" in last

    bad = told.checkpoint()[:-8] + "AAAAAA=\n"
    path.write_bytes(told.file(bad))
    assert said(capsys, path)[0] == 0
    code, last = said(capsys, path, "--key", SIGNER.key)
    assert code == 1
    assert "does not fit" in last or "base64" in last


def test_signatures_are_judged_as_the_library_judges_them() -> None:
    """Of RFC 8032, section 7.1, and of keys drawn by chance, right and with one bit changed."""
    assert has_signed(*(bytes.fromhex(each) for each in RFC_8032))
    drawn = Random(8032)
    for length in range(20):
        key = Ed25519PrivateKey.from_private_bytes(drawn.randbytes(32))
        public, message = key.public_key().public_bytes_raw(), drawn.randbytes(length)
        signature = key.sign(message)
        assert has_signed(public, signature, message)
        place = drawn.randrange(512)
        wrong = bytearray(signature)
        wrong[place // 8] ^= 1 << place % 8
        assert not has_signed(public, bytes(wrong), message)
        assert not has_signed(public, signature, message + b"x")


def test_a_signature_has_one_spelling() -> None:
    """Others are the same number modulo the order, and would let anybody make more signatures."""
    public, signature, message = (bytes.fromhex(each) for each in RFC_8032)
    factor = int.from_bytes(signature[32:], "little") + ORDER
    other = signature[:32] + factor.to_bytes(32, "little")

    assert not has_signed(public, other, message)
    assert not has_signed(public, signature[:-1], message)
    assert not has_signed(public, signature + b"\0", message)
    assert not has_signed((PRIME + 1).to_bytes(32, "little"), signature, message)
    assert not has_signed(bytes([2]) + bytes(31), signature, message)  # no point of the curve


def test_a_rewritten_log_does_not_fit_a_checkpoint_from_before(
    told: Draft, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = tmp_path / "notes"
    mine = part(told, 2, 9).checkpoint()
    notes.write_text(story("globex").checkpoint() + mine + "\n" + told.checkpoint())
    path.write_bytes(told.file())
    assert said(capsys, path, "--checkpoint", notes, "--key", SIGNER.key)[0] == 0

    rewritten = told.copy()
    rewritten.events[5]["actor"] = "user:nobody"
    path.write_bytes(rewritten.chained().file())
    code, last = said(capsys, path, "--checkpoint", notes)
    assert code == 1
    assert "event 9 is not the one of your checkpoint" in last

    cut = told.copy()
    cut.events = cut.events[:7]
    path.write_bytes(cut.chained().file())
    code, last = said(capsys, path, "--checkpoint", notes)
    assert code == 1
    assert "event 9, which is not in the file" in last

    another = story("acme", ids="another")
    path.write_bytes(another.file())
    code, last = said(capsys, path, "--checkpoint", notes)
    assert code == 1


def test_a_part_is_held_against_the_checkpoint_just_before_it(
    told: Draft, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = tmp_path / "notes"
    notes.write_text(part(told, 2, 4).checkpoint())
    path.write_bytes(part(told, 5, 9).file())

    assert said(capsys, path, "--checkpoint", notes)[0] == 0


def test_wrong_usage_is_told_apart_from_damage(
    told: Draft, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "none"
    assert said(capsys, missing) == (
        2,
        f"NOT CHECKED: {missing} cannot be read: No such file or directory.",
    )
    path.write_bytes(told.file())
    assert said(capsys, path, "--key", "nonsense")[0] == 2
    assert said(capsys, path, "--checkpoint", missing)[0] == 2
    missing.write_text("hello\n")
    assert said(capsys, path, "--checkpoint", missing)[0] == 2
    missing.write_text(story("globex").checkpoint())
    assert said(capsys, path, "--checkpoint", missing)[0] == 2


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"", 1, "without its checkpoint"),
        (b"\x1f\x8b\x08\x00rest\n", 2, "Decompress it first (gunzip)."),
        (b"\xef\xbb\xbfseq,event_id\r\n", 1, "line 1: it is no JSON."),
        (base64.b64encode(bytes(99)) + b"\n", 1, "line 1: it is no JSON."),
        (b"# AgentMesh\n", 1, "line 1: it is no JSON."),
        (b"\xff\xfe\n", 1, "line 1: it is not UTF-8."),
    ],
)
def test_the_files_that_people_take_by_mistake_are_named(
    path: Path, capsys: pytest.CaptureFixture[str], content: bytes, code: int, words: str
) -> None:
    path.write_bytes(content)

    ended, last = said(capsys, path)

    assert ended == code
    assert words in last


def test_what_no_program_writes_is_damage_and_no_traceback() -> None:
    for file in (
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
        spelt({"format": "agentmesh-log"}),
        b"null\n",
        b"\n",
        base64.b64encode(bytes(1000)) + b"\n",
    ):
        assert damage(file).startswith("line 1: ")
