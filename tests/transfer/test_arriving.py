"""What import_log refuses, with the line and the reason. No database: files are judged as read."""

import gzip
from collections.abc import Callable
from io import BytesIO
from random import Random
from typing import Any

import pytest

from events.transfer import arriving
from events.transfer.arriving import Arriving, BadFile
from tests.transfer.draft import Draft, draft, spelt, story

Change = Callable[[Draft], object]


@pytest.fixture
def told() -> Draft:
    return story("acme")


def refusal(file: bytes) -> str:
    with pytest.raises(BadFile) as caught:
        for _ in Arriving(BytesIO(file)):
            pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


def arrived(file: bytes) -> Arriving:
    found = Arriving(BytesIO(file))
    for _ in found:
        pass
    return found


def test_a_whole_file_is_taken_as_it_is(told: Draft) -> None:
    found = arrived(told.file())

    assert (found.seq, found.streams, found.line) == (13, 2, 15)
    assert found.ending is not None
    assert found.ending.note == told.checkpoint()
    assert (found.ending.signed_by, found.ending.signers) == (None, ("mesh.example.org",))


def test_an_empty_log_is_a_log() -> None:
    assert arrived(draft("acme", []).file()).seq == 0


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"format": "mbox"}, "no header of an exported log"),
        ({"format_version": 2}, "its format_version is not 1"),
        ({"format_version": "1"}, "its format_version is not 1"),
        ({"tenant": "Acme!"}, "its tenant is no slug"),
        ({"tenant": 5}, "Expected `str`, got `int`"),
        ({"name": ""}, "a tenant's name has 1 to 256"),
        ({"name": "a\nb"}, "a tenant's name has 1 to 256"),
        ({"name": "x" * 257}, "a tenant's name has 1 to 256"),
        ({"created_at": "2026-03-01T12:00:00Z"}, "is no moment"),
        ({"created_at": "2026-03-01T13:00:00.000000+01:00"}, "is no moment"),
        ({"log_id": "acme"}, "Invalid UUID"),
        ({"log_id": "0195a1b2-c3d4-7001-8001-0123456789AB"}, "not spelt as an export is"),
        ({"from_seq": 2}, "begins with event 2. Import an export from event 1"),
        ({"prior_hash": "00" * 32}, "its prior_hash is not the one"),
        ({"filters": {"types": "Agent*"}}, "only what fitted a filter"),
        ({"filters": {}}, "only what fitted a filter"),
        ({"more": 1}, "unknown field `more`"),
    ],
)
def test_a_wrong_header_is_refused(told: Draft, header: dict[str, Any], words: str) -> None:
    note = told.checkpoint()
    told.header |= header

    found = refusal(told.file(note))

    assert found.startswith("line 1: ")
    assert words in found


def test_what_is_no_export_is_refused_at_its_first_line(told: Draft) -> None:
    file = told.file()
    for wrong, words in (
        (b"", "no header"),
        (b"\n", "no header"),
        (b"hello\n", "no header"),
        (b"[]\n", "no header"),
        (b"\xff\xfe\n", "no header"),
        (b"[" * 100_000, "no header"),
        (file.partition(b"\n")[2], "no header"),
        (gzip.compress(file), "Decompress it first"),
        (b"\xef\xbb\xbf" + file, "byte order mark"),
        (file.replace(b"\n", b"\r\n"), "CR LF"),
        (file.replace(b'{"format"', b'{ "format"', 1), "not spelt"),
    ):
        found = refusal(wrong)
        assert found.startswith("line 1: ")
        assert words in found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda e: e.update(seq=6), "line 6: event 5 is missing; here is 6"),
        (lambda e: e.update(seq="5"), "line 6: Expected `int`, got `str`"),
        (lambda e: e.update(seq=5.0), "line 6: "),
        (lambda e: e.update(version=9), "line 6: version 4 of agent-1 is missing; here is 9"),
        (lambda e: e.update(stream_id="agent-2"), "version 1 of agent-2 is missing; here is 4"),
        (lambda e: e.update(recorded_at="2026-03-01T12:00:00.000000Z"), "recorded before"),
        (lambda e: e.update(occurred_at="yesterday"), "'yesterday' is no moment"),
        (lambda e: e.update(occurred_at="2026-02-30T12:00:00.000000Z"), "is no moment"),
        (lambda e: e.update(occurred_at="2026-03-01T12:00:00.000000+00:00"), "is no moment"),
        (lambda e: e.update(actor=None), "Expected `str`, got `null`"),
        (lambda e: e.update(actor="x" * 301), "its actor has more than 300 characters"),
        (lambda e: e.update(correlation_id="x" * 256), "correlation_id has more than 255"),
        (lambda e: e.update(reason="a\0b"), "its reason holds a NUL character"),
        (lambda e: e.update(origin="\0"), "its origin holds a NUL character"),
        (lambda e: e.update(event_id="x"), "Invalid UUID"),
        (lambda e: e.update(reason="changed"), "line 6: its hash does not follow"),
        (lambda e: e.update(hash=e["hash"].upper()), "line 6: its hash does not follow"),
        (lambda e: e.update(hash=""), "line 6: its hash does not follow"),
        (lambda e: e.update(more=None), "unknown field `more`"),
        (lambda e: e.pop("reason"), "missing required field `reason`"),
        (lambda e: e.update(reason=e.pop("reason")), "not spelt as an export is"),
    ],
)
def test_a_wrong_event_is_refused_with_its_line(
    told: Draft, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    change(told.events[4])

    assert words in refusal(told.file())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda e: e.update(type="AgentSangEvent"), "AgentSangEvent is no fact that this release"),
        (lambda e: e.update(schema_version="9.0"), "AgentTaskAssignedEvent has no version 9.0"),
        (lambda e: e.update(data="{}"), "its data is no AgentTaskAssignedEvent 1.0"),
        (lambda e: e.update(data="nonsense"), "its data is no AgentTaskAssignedEvent 1.0"),
        (lambda e: e.update(data="[" * 10_000), "its data is no AgentTaskAssignedEvent 1.0"),
        (lambda e: e.update(data=e["data"].replace("t-0", "\\u0000")), "NUL"),
        (lambda e: e.update(data=e["data"].replace('"t-0"', "NaN")), "its data is no"),
        (lambda e: e.update(data=e["data"].replace('{"ü"', '{"n":' + "9" * 400 + ',"ü"')), "its"),
        (lambda e: e.update(data=e["data"].replace('{"ü"', '{"n":2' + "0" * 30 + ',"ü"')), "64"),
        (lambda e: e.update(data=e["data"].replace("t-0", "\\ud800")), "its data is no"),
        (lambda e: e.update(data=e["data"].replace("agent-1", "agent-2")), "another stream"),
        (lambda e: e.update(stream_type="tenant", version=1), "another stream"),
        (lambda e: e.update(occurred_at="2026-03-01T12:00:00.000001Z"), "another moment"),
    ],
)
def test_a_forged_chain_does_not_make_a_fact(
    told: Draft, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    """Every hash fits: what is refused is what no release of ours has ever appended."""
    change(told.events[4])

    found = refusal(told.chained().file())

    assert found.startswith("line 6: ")
    assert words in found


def test_a_fact_that_names_another_tenant_is_refused(told: Draft) -> None:
    """Commands write an agent's rows into the tenant of which its first fact speaks."""
    created = told.events[0]
    created["data"] = created["data"].replace('"tenant_id":"acme"', '"tenant_id":"globex"')

    assert refusal(told.chained().file()) == "line 2: its data names another tenant."


def test_a_file_of_another_log_is_refused_where_it_begins(told: Draft) -> None:
    other = story("globex")
    other.header, note = told.header, told.checkpoint()

    assert refusal(other.file(note)).startswith("line 2: its hash does not follow")


def test_a_file_that_was_cut_off_is_refused_wherever_it_ends(told: Draft) -> None:
    file = told.file()
    lines = file.splitlines(keepends=True)
    for number in range(1, len(lines)):
        ending = "the file ends here, without its checkpoint: it was cut off."
        found = refusal(b"".join(lines[:number]))
        assert found == f"line {number}: {ending}"
    assert refusal(file[:-1]) == "line 15: the file ends in the middle of it: it was cut off."


def test_a_refusal_shows_what_no_terminal_obeys(told: Draft) -> None:
    told.events[0] |= {"stream_id": "\x1b[2K\rimported\x9b\n", "version": 2}

    found = refusal(told.chained().file())

    assert "\\x1b[2K\\rimported\\x9b\\n is missing" in found
    assert found.isprintable()


def test_nothing_follows_the_checkpoint(told: Draft) -> None:
    for more in (b"\n", b" ", told.file()):
        assert refusal(told.file() + more) == "line 16: the file goes on after its checkpoint."


@pytest.mark.parametrize(
    ("note", "words"),
    [
        (lambda d: d.checkpoint(seq=12), "not the one of this log at its last event"),
        (lambda d: d.checkpoint(hash="00" * 32), "not the one of this log"),
        (lambda d: d.checkpoint(tenant="globex"), "not the one of this log"),
        (lambda d: d.checkpoint(log_id="0195a1b2-c3d4-7001-8001-0123456789ab"), "not the one"),
        (lambda d: d.checkpoint(recorded_at="2026-03-01T12:00:00.000000Z"), "not the one"),
        (lambda d: "nonsense", "It is no checkpoint of a log"),
        (lambda d: d.checkpoint() + "and more\n", "signatures alone"),
    ],
)
def test_the_checkpoint_must_be_the_one_of_the_last_event(
    told: Draft, note: Callable[[Draft], str], words: str
) -> None:
    found = refusal(told.file(note(told)))

    assert found.startswith("line 15: ")
    assert words in found


def test_a_changed_footer_is_refused(told: Draft) -> None:
    file = told.file()
    for wrong, words in (
        (file[:-70] + b"0" * 64 + file[-6:], ""),
        (file[:-4] + b"0" + file[-3:], "SHA-256 is another one"),
        (file.replace(b'{"checkpoint":', b'{"checkpoint": '), "not spelt"),
        (file.replace(b"mesh.example.org/", b"nesh.example.org/"), "SHA-256 is another one"),
        (file.replace(b'"sha256"', b'"sha512"'), "sha512"),
    ):
        found = refusal(wrong)
        assert found.startswith("line 15: ")
        assert words in found


def test_the_header_must_promise_as_many_events_as_come(told: Draft) -> None:
    note = told.checkpoint()
    told.header["to_seq"] = 14

    assert refusal(told.file(note)) == "line 15: the header promises 14 events; 13 came."


def test_an_endless_line_is_not_read_to_its_end(
    told: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arriving, "LONGEST_LINE", 2_000)
    header = spelt(told.header)

    class Endless(BytesIO):
        read_bytes = 0

        def readline(self, size: int | None = -1, /) -> bytes:
            assert size is not None
            assert 0 <= size <= 2_001
            line = super().readline(size)
            self.read_bytes += len(line)
            return line

    file = Endless(header + b'{"seq":' + b"1" * 100_000)
    with pytest.raises(BadFile, match=r"line 2: it has more than 2,000 bytes\."):
        list(Arriving(file))
    assert file.read_bytes < 3_000
    assert refusal(b"1" * 100_000).startswith("line 1: ")


def test_every_single_byte_counts(told: Draft) -> None:
    told.events = told.events[:3]
    file, drawn = told.chained().file(), Random(20260302)
    arrived(file)
    unnoticed = []
    for place in range(len(file)):
        other = drawn.choice([byte for byte in (*range(256),) if byte != file[place]])
        try:
            arrived(file[:place] + bytes([other]) + file[place + 1 :])
        except BadFile:
            continue
        unnoticed.append((place, other))

    assert unnoticed == []
