"""Signed notes, against the example of the format's own documentation and against tampering."""

import base64

import pytest

from events.notes import BadKey, BadNote, Key, Signer, parse, split

# The example in the documentation of golang.org/x/mod/sumdb/note, where the format comes from.
NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
EXAMPLE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngo"
    "tpRZb6KE6RyyBwJnAM=\n"
)
OURS = Signer("mesh.example.org", bytes(range(32)))
THEIRS = Signer("mesh.example.org", bytes(range(1, 33)))
BODY = "mesh.example.org/tenants/acme\n7\n"


def test_a_note_that_another_program_signed_is_recognised() -> None:
    key = Key.parse(NEUMANN)

    assert str(key) == NEUMANN
    assert parse(EXAMPLE).signed_by([key]) == key


def test_a_note_that_we_sign_is_signed_by_our_key_and_the_same_every_time() -> None:
    note = OURS.sign(BODY)

    assert parse(note).body == BODY
    assert parse(note).signed_by([THEIRS.key, OURS.key]) == OURS.key
    assert OURS.sign(BODY) == note


@pytest.mark.parametrize("place", range(len(BODY) - 1))
def test_a_changed_character_of_a_note_is_noticed(place: int) -> None:
    note = OURS.sign(BODY)
    changed = note[:place] + ("x" if note[place] != "x" else "y") + note[place + 1 :]

    with pytest.raises(BadNote, match=r"does not fit|stand signatures alone"):
        parse(changed).signed_by([OURS.key])


def test_a_signature_of_a_key_that_we_do_not_know_counts_for_nothing() -> None:
    assert parse(THEIRS.sign(BODY)).signed_by([OURS.key]) is None
    assert parse(BODY).signed_by([OURS.key]) is None


def test_of_several_signatures_one_that_we_know_is_enough() -> None:
    both = OURS.sign(BODY) + THEIRS.sign(BODY).splitlines()[-1] + "\n"

    assert parse(both).signed_by([THEIRS.key]) == THEIRS.key
    assert parse(both).signed_by([OURS.key]) == OURS.key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PeterNeumann",
        NEUMANN.replace("c74f20a3", "c74f20a4"),
        NEUMANN.replace("+ARpc", "+AhpcA"),
        NEUMANN[:-4],
        NEUMANN.replace("Peter", "Peter "),
    ],
)
def test_what_is_no_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(BadKey, match="A verifier key is"):
        Key.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        BODY + "\nno signature\n",
        BODY + "\n\u2014 mesh.example.org !!!!\n",
        BODY + "\n\u2014 mesh.example.org " + base64.b64encode(b"abc").decode() + "\n",
        *(
            BODY + f"\n\u2014 mesh{hidden}x {base64.b64encode(bytes(68)).decode()}\n"
            for hidden in ("\0", "\x1b[2K", "\x7f", "\x9b2K", "+")
        ),
    ],
)
def test_what_is_no_note_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        parse(text)


@pytest.mark.parametrize("body", ["no newline", "an empty\n\nline\n", "\n"])
def test_a_body_that_could_be_read_in_two_ways_is_not_signed(body: str) -> None:
    with pytest.raises(ValueError, match="none of them empty"):
        OURS.sign(body)


@pytest.mark.parametrize("between", ["", "\n", "\n\n"])
def test_notes_in_one_file_are_told_apart(between: str) -> None:
    first, second = OURS.sign(BODY), OURS.sign(BODY.replace("7", "8"))

    assert list(split(first + between + second + between)) == [first, second]
    assert list(split(BODY)) == [BODY]
    assert list(split("\n")) == []
