"""How streams and servers end: revoked, unread, stopped."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from agentmesh_site.management.commands import serve as serve_command
from agents import services
from events.models import Role
from events.tenants import add_member, change_member, remove_member, revoke_token
from tests.house.rooms import ROOT
from tests.stream.client import FROM_THE_BEGINNING, Message, listening, until
from tests.stream.people import BY, Fleet
from tests.stream.server import Server, free_port, serving


def seconds_until_it_ends(stream: Iterator[Message]) -> float:
    began = time.monotonic()
    for message in stream:
        assert not message.is_of_the_log or message.event.startswith(
            ("Token", "Member", "SignedIn")
        )
    return time.monotonic() - began


def test_a_revoked_token_loses_its_stream(server: Server, acme: Fleet) -> None:
    token, secret = acme.issue()

    with (
        listening(server.url, acme.tenant, acme.token()) as another,
        listening(server.url, acme.tenant, secret) as stream,
    ):
        next(stream)
        revoke_token(acme.tenant, token.pk, by=BY)
        assert seconds_until_it_ends(stream) < 5
        acme.beat()
        assert until(another, acme.head)

    url = f"{server.url}/api/v1/tenants/{acme.tenant}/stream"
    assert httpx.get(url, headers={"Authorization": f"Bearer {secret}"}).status_code == 401


def test_an_expired_token_loses_its_stream(server: Server, acme: Fleet) -> None:
    secret = acme.token(expires_at=timezone.now() + timedelta(seconds=1))

    with listening(server.url, acme.tenant, secret) as stream:
        next(stream)
        assert seconds_until_it_ends(stream) < 1 + 5


def suspended(acme: Fleet, bob: Any, browser: Client) -> None:
    change_member(acme.tenant, bob.username, suspended=True, by=BY)


def removed(acme: Fleet, bob: Any, browser: Client) -> None:
    remove_member(acme.tenant, bob.username, by=BY)


def given_another_role(acme: Fleet, bob: Any, browser: Client) -> None:
    change_member(acme.tenant, bob.username, role=Role.AUDITOR, by=BY)


def deactivated(acme: Fleet, bob: Any, browser: Client) -> None:
    get_user_model().objects.filter(pk=bob.pk).update(is_active=False)


def signed_out(acme: Fleet, bob: Any, browser: Client) -> None:
    browser.logout()


def given_another_password(acme: Fleet, bob: Any, browser: Client) -> None:
    bob.set_password("another")
    bob.save()


FATES = [
    suspended, removed, given_another_role, deactivated, signed_out, given_another_password,
]  # fmt: skip


def test_a_person_who_is_no_longer_let_in_loses_the_stream(
    server: Server, acme: Fleet, fresh_slug: Callable[[str], str]
) -> None:
    """One person for each way to lose it, and one who stays."""

    def person() -> tuple[Any, Client]:
        user = get_user_model().objects.create_user(fresh_slug("bob"))
        add_member(acme.tenant, user.username, Role.OPERATOR, by=BY)
        browser = Client()
        browser.force_login(user)
        return user, browser

    people = [person() for _ in (*FATES, None)]
    with ExitStack() as stack:
        *losing, staying = [
            stack.enter_context(
                listening(
                    server.url,
                    acme.tenant,
                    None,
                    cookies={"sessionid": browser.cookies["sessionid"].value},
                )
            )
            for _, browser in people
        ]
        for stream in (*losing, staying):
            next(stream)
        began = time.monotonic()
        for fate, (user, browser) in zip(FATES, people, strict=False):
            fate(acme, user, browser)
        for stream in losing:
            seconds_until_it_ends(stream)
        assert time.monotonic() - began < 5
        acme.beat()
        assert until(staying, acme.head)


def fill(acme: Fleet, events: int) -> None:
    """Events of 60 KB each."""
    for number in range(events):
        services.update_agent(
            tenant=acme.tenant, agent_id="a-1", metadata={str(number): "x" * 60_000}, by=BY
        )


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_client_that_does_not_read_is_cut_off_and_memory_stays_bounded(
    server: Server, acme: Fleet
) -> None:
    fill(acme, 300)
    token, clients = acme.token(), 4
    path = f"/api/v1/tenants/{acme.tenant}/stream?after=0"
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    with listening(server.url, acme.tenant, token, query=FROM_THE_BEGINNING) as stream:
        until(stream, acme.head)  # what one reader costs is not what is measured
    before = server.resident_bytes()

    with ExitStack() as stack:
        stuck = [stack.enter_context(closing(socket.socket())) for _ in range(clients)]
        for each in stuck:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            each.connect(("127.0.0.1", server.port))
            each.sendall(request.encode())
        time.sleep(12)
        grown = server.resident_bytes() - before
        received = [drain(each) for each in stuck]

    assert grown < clients * 3 * 2**20, f"{grown / 2**20:.1f} MiB more for {clients} clients"
    assert max(received) < 300 * 60_000 / 2, "it was cut off long before the end"


def drain(client: socket.socket) -> int:
    """Bytes until the end, which must come at once."""
    client.settimeout(3)
    received = 0
    try:
        while chunk := client.recv(65_536):
            received += len(chunk)
    except ConnectionResetError:
        pass
    return received


def opened(stack: ExitStack, server: Server, acme: Fleet, clients: int) -> list[Iterator[Message]]:
    token = acme.token()
    return [
        stack.enter_context(listening(server.url, acme.tenant, token, query=FROM_THE_BEGINNING))
        for _ in range(clients)
    ]


def assert_it_stops_in_time(
    server: Server, number: signal.Signals, streams: list[Iterator[Message]]
) -> None:
    assert server.stop(number) < 5
    assert server.process.returncode == 0
    for stream in streams:
        assert [message.comment for message in stream if message.comment], "a farewell"
    assert server.process.stderr is not None
    assert server.process.stderr.read() == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_with_open_streams_stops_in_time(
    subprocess_env: dict[str, str], acme: Fleet, number: signal.Signals
) -> None:
    with serving(subprocess_env) as server, ExitStack() as stack:
        streams = opened(stack, server, acme, 6)
        for stream in streams:
            until(stream, acme.head)
        assert_it_stops_in_time(server, number, streams)


def test_two_workers_serve_the_same_log_and_stop_in_time(
    subprocess_env: dict[str, str], acme: Fleet
) -> None:
    """Whatever process a client comes to, and whatever process has appended."""
    with serving(subprocess_env, "--workers", "2") as server, ExitStack() as stack:
        streams = opened(stack, server, acme, 8)
        acme.beat(20)
        for stream in streams:
            assert [message.id for message in until(stream, acme.head)] == acme.ids
        assert_it_stops_in_time(server, signal.SIGTERM, streams)


def serve(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "manage.py", "serve", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_a_taken_port_is_one_clear_line(subprocess_env: dict[str, str]) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        ended = serve(subprocess_env, "--port", str(port))

    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert f"port {port}" in line
    assert "in use" in line


def test_an_address_of_another_machine_is_one_clear_line(subprocess_env: dict[str, str]) -> None:
    ended = serve(subprocess_env, "--host", "192.0.2.1")

    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert "192.0.2.1 port 8000: " in line


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--port", "http"], "PORT"),
        (["--port", "70000"], "PORT"),
        (["--host", "no host"], "AGENTMESH_HOST"),
        (["--workers", "0"], "--workers"),
        (["--workers", "many"], "--workers"),
        (["--colour"], "--colour"),
        (["now"], "now"),
    ],
)
@pytest.mark.usefixtures("committed_db")
def test_a_wrong_argument_is_one_clear_line(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        serve_command.Command().run_from_argv(["manage.py", "serve", *arguments])

    assert ended.value.code
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert named in line


def test_an_argument_opens_no_door_that_the_settings_keep_shut(
    subprocess_env: dict[str, str],
) -> None:
    without_key = {k: v for k, v in subprocess_env.items() if k != "AGENTMESH_SECRET_KEY"}

    ended = serve(without_key, "--host", "0.0.0.0")  # noqa: S104 -- refused

    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert "AGENTMESH_SECRET_KEY" in line


def test_a_server_says_its_address_and_nothing_else(
    subprocess_env: dict[str, str], acme: Fleet
) -> None:
    token = acme.token()
    with serving(subprocess_env, "--no-worker") as server:
        response = httpx.get(f"{server.url}/health/ready")
        with listening(server.url, acme.tenant, token, query=FROM_THE_BEGINNING) as stream:
            event = until(stream, 1)[0].json
        server.stop()
        assert server.process.stdout is not None
        said = server.process.stdout.read().splitlines()

    assert "server" not in response.headers
    assert said == [f"AgentMesh is on {server.url}/ (Ctrl-C stops it)"]
    # The settings follow from the arguments: what is served names the port that serves it.
    assert event["dataschema"].startswith(f"{server.url}/api/v1/schemas/")
