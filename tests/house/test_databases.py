"""DATABASE_URL: where the log is, and nothing that weakens its promises."""

from pathlib import Path

import pytest

from agentmesh_site.databases import django_database
from agentmesh_site.environment import WrongSetting


def test_a_relative_sqlite_path_starts_at_the_project_and_an_absolute_one_does_not(
    tmp_path: Path,
) -> None:
    (tmp_path / "var").mkdir()

    relative = django_database("sqlite:///var/log%20book.sqlite3", tmp_path)
    absolute = django_database(f"sqlite:///{tmp_path}/log.sqlite3", Path("/nowhere"))

    assert relative["NAME"] == str(tmp_path / "var" / "log book.sqlite3")
    assert absolute["NAME"] == str(tmp_path / "log.sqlite3")
    assert relative["OPTIONS"]["transaction_mode"] == "IMMEDIATE"


def test_a_postgresql_url_means_what_it_means_to_psql(tmp_path: Path) -> None:
    database = django_database(
        "postgresql://bob:p%40ss+word@db.example.org:5433/mesh?sslmode=verify-full&pool_max_size=25",
        tmp_path,
    )

    place = {name: database[name] for name in ("NAME", "USER", "PASSWORD", "HOST", "PORT")}
    assert place == {
        "NAME": "mesh",
        "USER": "bob",
        "PASSWORD": "p@ss+word",
        "HOST": "db.example.org",
        "PORT": "5433",
    }
    assert database["OPTIONS"]["sslmode"] == "verify-full"
    assert database["OPTIONS"]["pool"]["max_size"] == 25
    assert "pool_max_size" not in database["OPTIONS"]
    assert "synchronous_commit=on" in database["OPTIONS"]["options"]


def test_a_postgresql_url_may_name_a_socket_or_several_hosts(tmp_path: Path) -> None:
    socket = django_database("postgresql:///mesh?host=/run/postgresql&pool_min_size=2", tmp_path)
    hosts = django_database("postgres://bob@one:5432,two:5433/mesh", tmp_path)

    assert (socket["HOST"], socket["NAME"]) == ("/run/postgresql", "mesh")
    assert (hosts["HOST"], hosts["PORT"]) == ("one,two", "5432,5433")


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "mysql://bob:hunter2@host/mesh",
        "sqlite://",
        "sqlite://:memory:",
        "sqlite:///:memory:",
        "sqlite://host/path",
        "sqlite:///var/mesh.sqlite3?synchronous=off",
        "sqlite:////no/such/folder/mesh.sqlite3",
        "postgresql://bob:hunter2@host",
        "postgresql://bob:hunter2@host:port:5432/mesh",
        "postgresql://bob:hunter2@host/mesh?options=-csynchronous_commit%3Doff",
        "postgresql://bob:hunter2@host/mesh?colour=blue",
        "postgresql://bob:hunter2@host/mesh?pool_max_size=lots",
        "postgresql://bob:hunter2@host/mesh?pool_min_size=9&pool_max_size=3",
        "postgresql://bob:hunter2@host/%zz",
        "postgresql://bob:hunter2@host:99999/mesh",
        "postgresql://bob:hunter2@host/mesh?sslmode=perhaps",
        "postgresql://bob:hunter2@host/mesh?connect_timeout=soon",
    ],
)
def test_a_wrong_database_url_is_one_line_without_the_password(url: str, tmp_path: Path) -> None:
    with pytest.raises(WrongSetting) as refusal:
        django_database(url, tmp_path)

    assert str(refusal.value).startswith("DATABASE_URL ")
    assert str(refusal.value).isprintable()
    assert "hunter2" not in str(refusal.value)
