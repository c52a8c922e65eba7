"""The secret key of an installation that only its own machine can reach."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentmesh_site.environment import WrongSetting
from agentmesh_site.secret_key import local_secret_key


def test_a_local_secret_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "var" / "secret_key"

    first = local_secret_key(path)

    assert len(first) >= 50
    assert local_secret_key(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_first_starts_at_once_agree_on_one_local_secret_key(tmp_path: Path) -> None:
    path = tmp_path / "secret_key"

    with ThreadPoolExecutor(8) as starts:
        keys = set(starts.map(local_secret_key, [path] * 8))

    assert len(keys) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_local_secret_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret_key"
    key = local_secret_key(path)
    path.chmod(0o644)

    with pytest.raises(WrongSetting, match=r"others can read. Run `chmod 600") as refusal:
        local_secret_key(path)

    assert key not in str(refusal.value)


def test_a_damaged_local_secret_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret_key"
    local_secret_key(path)
    path.write_text("")

    with pytest.raises(WrongSetting, match="which is damaged"):
        local_secret_key(path)


def test_a_folder_in_the_place_of_the_local_secret_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret_key").mkdir(mode=0o700)

    with pytest.raises(WrongSetting, match="cannot be read or made"):
        local_secret_key(tmp_path / "secret_key")
