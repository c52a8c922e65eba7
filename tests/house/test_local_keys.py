"""The keys of an installation that only its own machine can reach."""

import base64
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentmesh_site.environment import WrongSetting
from agentmesh_site.local_keys import local_secret_key, local_signing_key

LocalKey = Callable[[Path], str | bytes]
each_key = pytest.mark.parametrize("local_key", [local_secret_key, local_signing_key])


@each_key
def test_a_local_key_is_made_once_and_for_its_owner_alone(
    tmp_path: Path, local_key: LocalKey
) -> None:
    path = tmp_path / "var" / "key"

    first = local_key(path)

    assert local_key(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


@each_key
def test_first_starts_at_once_agree_on_one_local_key(tmp_path: Path, local_key: LocalKey) -> None:
    path = tmp_path / "key"

    with ThreadPoolExecutor(8) as starts:
        keys = set(starts.map(local_key, [path] * 8))

    assert len(keys) == 1
    assert list(tmp_path.iterdir()) == [path]


@each_key
def test_a_local_key_that_others_can_read_is_refused(tmp_path: Path, local_key: LocalKey) -> None:
    path = tmp_path / "key"
    local_key(path)
    path.chmod(0o644)

    with pytest.raises(WrongSetting, match=r"others can read. Run `chmod 600") as refusal:
        local_key(path)

    assert path.read_text().strip() not in str(refusal.value)


@each_key
def test_a_damaged_local_key_is_refused(tmp_path: Path, local_key: LocalKey) -> None:
    path = tmp_path / "key"
    local_key(path)
    path.write_text("")

    with pytest.raises(WrongSetting, match="which is damaged"):
        local_key(path)


@each_key
def test_a_folder_in_the_place_of_the_local_key_is_refused(
    tmp_path: Path, local_key: LocalKey
) -> None:
    (tmp_path / "key").mkdir(mode=0o700)

    with pytest.raises(WrongSetting, match="cannot be read or made"):
        local_key(tmp_path / "key")


def test_a_local_secret_key_is_long_and_a_signing_key_has_32_bytes(tmp_path: Path) -> None:
    assert len(local_secret_key(tmp_path / "secret")) >= 50
    signing = local_signing_key(tmp_path / "signing")
    assert len(signing) == 32
    assert base64.b64decode((tmp_path / "signing").read_text()) == signing


def test_a_local_signing_key_that_is_no_base64_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    local_signing_key(path)
    path.write_text("a secret, but no key")

    with pytest.raises(WrongSetting, match="which is damaged") as refusal:
        local_signing_key(path)

    assert "a secret" not in str(refusal.value)
