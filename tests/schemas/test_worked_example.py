"""docs/schemas.md tells how a fact gets a new version: here somebody does what it says."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agents import services
from events import tenants
from events.log.proposal import Context
from events.models import Event
from events.schemas import document
from events.vocabulary import Capability
from tests.house.rooms import ROOT

GUIDE = (ROOT / "docs" / "schemas.md").read_text(encoding="utf-8")
SOURCE = (
    *("agentmesh_site", "agents", "events", "projections", "examples", "templates"),
    *("manage.py", "pyproject.toml"),
)

# Locks the new version, and is then a reader. argv: the page's command, the tenant, the page's own
# lines. One process for all: each costs as much as all that it does.
LOCK_AND_READ = """
import sys

import django

django.setup()

from django.core.management import call_command

from events import registry
from events.bus import InMemoryEventBus
from events.cloudevents import cloud_event
from events.log import read
from events.models import Event
from events.vocabulary import AgentPausedEvent

_, command, tenant, subscribe = sys.argv
call_command(command)
call_command("check")
call_command(command, "--check")

(row,) = Event.objects.filter(tenant=tenant, type="AgentPausedEvent")
assert row.schema_version == "1.0"
old, new = read.fact(row), AgentPausedEvent("a-1", reason="disk", category="incident")
assert isinstance(old, AgentPausedEvent)
assert (old.version, old.category, old.reason) == ("2.0", "unspecified", "Rest.")
assert b'"category":"unspecified"' in cloud_event(row, schema=None, show_origin=True)
assert row.data.encode() in cloud_event(row, schema="1.0", show_origin=True)
assert row.data.encode() in cloud_event(row, schema="stored", show_origin=True)

told, event_bus = [], InMemoryEventBus()
on_pause = lambda event: told.append((event.version, event.category))
on_pause_1_0 = lambda event: told.append((event.version, hasattr(event, "category")))
exec(subscribe)
event_bus.publish(old, new)
assert event_bus.failures == []
assert sorted(told, key=str) == [
    ("1.0", False), ("1.0", False), ("2.0", "incident"), ("2.0", "unspecified")
], told
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)


def block_after(words: str) -> str:
    _, _, rest = GUIDE.partition(words)
    found = re.search(r"^```\w+\n(.*?)^```$", rest, re.DOTALL | re.MULTILINE)
    assert found, words
    return found[1]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the source that may be changed."""
    for name in SOURCE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name)  # compiled too, which saves seconds
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def paused(committed_db: None, fresh_slug: Callable[[str], str]) -> str:
    """A tenant whose log holds one pause, in the version of this release."""
    tenant, by = tenants.create_tenant(fresh_slug("acme")).slug, Context(actor="user:alice")
    services.create_agent(
        tenant=tenant, agent_id="a-1", name="A", capabilities=[Capability("x", 1)], by=by
    )
    services.activate_agent(tenant=tenant, agent_id="a-1", by=by)
    services.pause_agent(tenant=tenant, agent_id="a-1", reason="Rest.", by=by)
    assert Event.objects.get(tenant=tenant, type="AgentPausedEvent").schema_version == "1.0"
    return tenant


def apply(tree: Path, diff: str) -> None:
    """Make the page's edit, which shows a class without its place in the file."""
    file = tree / "events" / "vocabulary.py"
    lines = diff.split("@@\n")[1].splitlines()
    before = "\n".join(line[1:] for line in lines if not line.startswith("+"))
    after = "\n".join(line[1:] for line in lines if not line.startswith("-"))
    text = file.read_text(encoding="utf-8")
    assert text.count(before) == 1, "the page shows a definition as it is not"
    file.write_text(text.replace(before, after), encoding="utf-8")


def test_the_page_tells_how_a_new_version_is_made(
    tree: Path, paused: str, subprocess_env: dict[str, str]
) -> None:
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=tree,
            env=subprocess_env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    (diff,), (checked, locked) = blocks("diff"), map(str.splitlines, blocks("console"))
    apply(tree, diff)
    assert checked[0] == "$ python manage.py check"
    done = run("manage.py", "check")
    assert done.returncode == 1
    found = re.findall(r"\(events.*", done.stderr)
    assert found == checked[1:]

    module = tree / "events" / "ancestors" / "agent_paused_1_0.py"
    module.write_text(block_after(f"`events/ancestors/{module.name}`:"), encoding="utf-8")
    command = locked[0].removeprefix("$ python manage.py ")
    done = run("-c", LOCK_AND_READ, command, paused, block_after("of new rows too:"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[: len(locked) - 1] == locked[1:]


def test_the_page_says_how_a_hash_is_made() -> None:
    schema = document.document("AgentPausedEvent", "1.0")
    known = {"hashlib": hashlib, "json": json, "schema": schema}

    told = eval(block_after("A schema's hash is"), known)  # noqa: S307 -- our own page

    assert told == document.sha256(schema)


def test_the_page_knows_every_check() -> None:
    assert set(re.findall(r"^\| (events\.E\d+) ", GUIDE, re.MULTILINE)) == {
        f"events.E00{number}" for number in (2, 3, 4, 5)
    }
