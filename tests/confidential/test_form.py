"""The sealed form, to the byte: what the documentation says, and what opens nothing."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap
from hypothesis import given
from hypothesis import strategies as st

from events.confidential import form, keys
from events.confidential.form import Damaged, Place
from tests.house.rooms import ROOT

VECTOR: dict[str, Any] = json.loads(
    (Path(__file__).parent / "payload_vector.json").read_text(encoding="utf-8")
)
PLACE = Place("acme", "a-1", "t-1", "input")
KEY, ID = bytes(range(32)), "0" * 32
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | NAMES
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def opened(stored: dict[str, Any], place: Place, key: bytes = KEY) -> bytes:
    return form.open_sealed(form.parse(stored["$confidential"]), key, place)


def test_the_vector_of_the_documentation() -> None:
    place = Place(**VECTOR["place"])
    key, kek = bytes.fromhex(VECTOR["data_key"]), bytes.fromhex(VECTOR["kek"])
    key_id = VECTOR["stored"]["$confidential"]["key"]

    assert form.additional_data(place).hex() == VECTOR["additional_data"]
    assert form.wrap(key, kek).hex() == VECTOR["wrapped"]
    assert keys.kek_id(kek) == VECTOR["kek_id"]
    assert (
        form.seal(
            VECTOR["plaintext"].encode(), key, key_id, place, nonce=bytes.fromhex(VECTOR["nonce"])
        )
        == VECTOR["stored"]
    )
    assert opened(VECTOR["stored"], place, key).decode() == VECTOR["plaintext"]


def test_the_documentation_prints_the_vector() -> None:
    said = "".join((ROOT / "docs/personal-data.md").read_text(encoding="utf-8").split())

    stored = json.dumps(VECTOR["stored"], separators=(",", ":"))
    for value in (stored, *(v for v in VECTOR.values() if isinstance(v, str))):
        assert value in said


def test_a_stranger_opens_the_vector_with_the_documentation_alone() -> None:
    kek = bytes.fromhex(VECTOR["kek"])
    assert hashlib.sha256(kek).hexdigest()[:16] == VECTOR["kek_id"]
    data_key = aes_key_unwrap(kek, bytes.fromhex(VECTOR["wrapped"]))
    sealed = VECTOR["stored"]["$confidential"]
    names = [VECTOR["place"][name].encode() for name in ("tenant", "agent_id", "task_id", "field")]
    additional = b"agentmesh.payload.v1\0" + b"".join(
        len(name).to_bytes(4, "big") + name for name in names
    )

    plain = AESGCM(data_key).decrypt(
        base64.b64decode(sealed["nonce"]), base64.b64decode(sealed["ciphertext"]), additional
    )

    assert plain.decode() == VECTOR["plaintext"]


@given(value=JSON_VALUES, names=st.tuples(NAMES, NAMES, NAMES, NAMES))
def test_any_payload_comes_back_to_the_byte(value: Any, names: tuple[str, ...]) -> None:
    text, place = msgspec.json.encode(value), Place(*names)

    stored = json.loads(json.dumps(form.seal(text, KEY, ID, place)))

    assert form.is_sealed(stored)
    assert opened(stored, place) == text


@given(first=st.tuples(NAMES, NAMES, NAMES, NAMES), other=st.tuples(NAMES, NAMES, NAMES, NAMES))
def test_no_two_places_have_the_same_additional_data(
    first: tuple[str, ...], other: tuple[str, ...]
) -> None:
    same = form.additional_data(Place(*first)) == form.additional_data(Place(*other))

    assert same == (first == other)


@pytest.mark.parametrize("name", Place._fields)
def test_a_ciphertext_opens_in_its_own_place_alone(name: str) -> None:
    stored = form.seal(b"1", KEY, ID, PLACE)

    with pytest.raises(Damaged):
        opened(stored, PLACE._replace(**{name: "elsewhere"}))


def test_the_same_payload_is_sealed_differently_each_time() -> None:
    assert form.seal(b"1", KEY, ID, PLACE) != form.seal(b"1", KEY, ID, PLACE)


def test_every_flipped_bit_is_noticed() -> None:
    sealed = form.parse(form.seal(b"12345", KEY, ID, PLACE)["$confidential"])
    for name in ("nonce", "ciphertext"):
        whole: bytes = getattr(sealed, name)
        for bit in range(8 * len(whole)):
            flipped = bytearray(whole)
            flipped[bit // 8] ^= 1 << bit % 8
            changed = msgspec.structs.replace(sealed, **{name: bytes(flipped)})
            with pytest.raises(Damaged):
                form.open_sealed(changed, KEY, PLACE)


GOOD = form.seal(b"1", KEY, ID, PLACE, nonce=b"n" * 12)["$confidential"]
MALFORMED: list[Any] = [
    None,
    1,
    "sealed",
    [],
    {},
    GOOD | {"v": 2},
    GOOD | {"v": True},
    GOOD | {"key": "x" * 32},
    GOOD | {"key": "0" * 32 + "\n"},
    GOOD | {"key": None},
    GOOD | {"nonce": "not base64!"},
    GOOD | {"ciphertext": 5},
    GOOD | {"more": 1},
    {name: GOOD[name] for name in ("v", "key", "nonce")},
]


@pytest.mark.parametrize("content", MALFORMED, ids=repr)
def test_what_has_another_shape_is_damaged_and_no_fault(content: Any) -> None:
    with pytest.raises(Damaged):
        form.parse(content)


@pytest.mark.parametrize("length", [0, 1, 8, 11, 13, 300])
def test_a_nonce_of_another_length_is_damaged_and_no_fault(length: int) -> None:
    sealed = msgspec.structs.replace(form.parse(GOOD), nonce=b"n" * length)

    with pytest.raises(Damaged):
        form.open_sealed(sealed, KEY, PLACE)


@pytest.mark.parametrize("wrapped", [b"", b"x" * 39, b"x" * 40, b"x" * 41, b"x" * 400])
def test_a_wrapped_key_that_is_none_is_damaged_and_no_fault(wrapped: bytes) -> None:
    with pytest.raises(Damaged):
        form.unwrap(wrapped, KEY)


def test_a_wrapped_key_of_another_length_is_damaged() -> None:
    with pytest.raises(Damaged):
        form.unwrap(form.wrap(b"k" * 16, KEY), KEY)
