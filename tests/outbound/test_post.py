"""A POST reaches public addresses alone, and no server can make it wait, follow or swallow."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from projections.outbound.connection import Undelivered
from projections.outbound.post import KEPT_BYTES, BadUrl, Outbound
from tests.outbound.servers import HOME, certificate, reaching_home, serving

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_what_is_posted_arrives_with_its_headers_and_the_name_as_host() -> None:
    with serving(OK) as server:
        answer = reaching_home().post(
            f"http://hooks.example.org:{server.port}/a?b=c", b'{"x": 1}', {"webhook-id": "m-1"}
        )

    (request,) = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert (answer.status, answer.body, answer.is_good) == (200, b"ok", True)
    assert head.startswith(b"POST /a?b=c HTTP/1.1\r\n")
    assert f"host: hooks.example.org:{server.port}".encode() in head.lower()
    assert b"webhook-id: m-1" in head
    assert body == b'{"x": 1}'


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.7", "169.254.169.254", "::1", "::ffff:127.0.0.1"]
)
def test_a_name_with_an_address_that_is_not_public_is_refused(address: str) -> None:
    with serving(OK) as server:
        outbound = Outbound(resolve=lambda host, port: ["1.1.1.1", address])
        with pytest.raises(Undelivered, match=r"^evil\.example\.org has an address .*not public"):
            outbound.post(f"https://evil.example.org:{server.port}/", b"", {})

    assert server.requests == []


def test_why_it_is_refused_does_not_tell_the_address() -> None:
    with pytest.raises(Undelivered) as refused:
        Outbound(resolve=lambda host, port: ["10.0.0.7"]).post("https://a.example.org/", b"", {})

    assert "10.0.0.7" not in str(refused.value)


def test_a_name_that_changes_its_mind_is_asked_once_and_taken_at_its_word() -> None:
    answers = iter([[HOME], ["10.0.0.7"]])
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return next(answers)

    with serving(OK) as server:
        url = f"http://rebinding.example.org:{server.port}/"
        outbound = reaching_home(resolve=resolve)
        assert outbound.post(url, b"", {}).is_good
        with pytest.raises(Undelivered, match="not public"):
            outbound.post(url, b"", {})

    assert len(asked) == 2
    assert len(server.requests) == 1


def test_the_connection_goes_to_the_very_address_that_was_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connected: list[tuple[str, int]] = []

    def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        connected.append(address)
        raise OSError("not in a test")

    monkeypatch.setattr(socket, "create_connection", connect)
    outbound = Outbound(resolve=lambda host, port: ["93.184.216.34", "93.184.216.35"])
    with pytest.raises(Undelivered, match=r"Nothing at hooks\.example\.org takes connections"):
        outbound.post("https://hooks.example.org/", b"", {})

    assert connected == [("93.184.216.34", 443), ("93.184.216.35", 443)]


def test_the_next_address_is_tried_when_the_first_does_not_answer() -> None:
    with serving(OK) as server:
        outbound = reaching_home(
            allows=lambda address: True, resolve=lambda host, port: ["127.0.0.2", HOME]
        )
        assert outbound.post(f"http://two.example.org:{server.port}/", b"", {}).is_good


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    with serving(OK) as inside:
        location = f"Location: http://127.0.0.1:{inside.port}/secret"
        moved = f"HTTP/1.1 302 Found\r\n{location}\r\nContent-Length: 0\r\n\r\n".encode()
        with serving(moved) as server:
            answer = reaching_home().post(f"http://a.example.org:{server.port}/", b"", {})

    assert (answer.status, answer.is_good) == (302, False)
    assert inside.requests == []


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(OK) as server, serving(OK) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        reaching_home().post(f"http://a.example.org:{server.port}/", b"", {})

    assert proxy.requests == []


class TestAHostileServer:
    def _drip(self, connection: socket.socket, piece: bytes) -> None:
        for _ in range(100):
            connection.sendall(piece)
            time.sleep(0.05)

    def test_that_sends_its_headers_slowly_is_left_in_time(self) -> None:
        def drip(connection: socket.socket) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            self._drip(connection, b"X-More: yes\r\n")

        began = time.monotonic()
        with (
            serving(drip) as server,
            pytest.raises(Undelivered, match=r"within 0\.4 seconds"),
        ):
            reaching_home(seconds=0.4).post(f"http://a.example.org:{server.port}/", b"", {})

        assert time.monotonic() - began < 6

    def test_that_never_answers_is_left_in_time(self) -> None:
        with (
            serving(lambda connection: time.sleep(1)) as server,
            pytest.raises(Undelivered, match=r"no answer within 0\.3 seconds"),
        ):
            reaching_home(seconds=0.3).post(f"http://a.example.org:{server.port}/", b"", {})

    def test_that_never_ends_its_body_has_answered(self) -> None:
        def endless(connection: socket.socket) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(10_000):
                connection.sendall(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")

        with serving(endless) as server:
            answer = reaching_home().post(f"http://a.example.org:{server.port}/", b"", {})

        assert answer.is_good
        assert len(answer.body) == KEPT_BYTES

    def test_that_never_ends_its_headers_is_cut_off(self) -> None:
        def endless(connection: socket.socket) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            for number in range(100_000):
                connection.sendall(b"X-%d: %s\r\n" % (number, b"x" * 1_000))

        with serving(endless) as server, pytest.raises(Undelivered):
            reaching_home().post(f"http://a.example.org:{server.port}/", b"", {})

    def test_that_goes_on_about_progress_is_cut_off(self) -> None:
        def hints(connection: socket.socket) -> None:
            for _ in range(100_000):
                connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")

        with serving(hints) as server, pytest.raises(Undelivered, match="longer than"):
            reaching_home().post(f"http://a.example.org:{server.port}/", b"", {})

    @pytest.mark.parametrize(
        "lie",
        [
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: nine\r\n\r\n",
            b"HTTP/1.1 \xff\xff\r\n\r\n",
            b"\x00" * 64,
            b"",
        ],
        ids=["ssh", "length", "status", "zeros", "nothing"],
    )
    def test_that_speaks_something_else_is_named_in_one_line(self, lie: bytes) -> None:
        with serving(lie) as server, pytest.raises(Undelivered) as told:
            reaching_home().post(f"http://a.example.org:{server.port}/", b"", {})

        assert "\n" not in str(told.value)
        assert "SSH" not in str(told.value)

    def test_that_promises_more_than_it_sends_has_answered(self) -> None:
        with serving(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nshort") as server:
            answer = reaching_home().post(f"http://a.example.org:{server.port}/", b"", {})

        assert (answer.status, answer.body) == (200, b"short")


class TestTLS:
    @pytest.fixture
    def named(self, tmp_path: Path) -> Iterator[tuple[int, Outbound]]:
        shown, trusting = certificate("hooks.example.org", tmp_path)
        with serving(OK, shown) as server:
            yield server.port, reaching_home(trusted=lambda: trusting)

    def test_the_certificate_is_checked_against_the_name(self, named: tuple[int, Outbound]) -> None:
        port, outbound = named
        assert outbound.post(f"https://hooks.example.org:{port}/", b"", {}).is_good

    def test_one_for_another_name_is_refused(self, named: tuple[int, Outbound]) -> None:
        port, outbound = named
        with pytest.raises(Undelivered, match="certificate"):
            outbound.post(f"https://other.example.org:{port}/", b"", {})

    def test_one_that_nobody_vouches_for_is_refused(self, named: tuple[int, Outbound]) -> None:
        port, _ = named
        with pytest.raises(Undelivered, match="certificate"):
            reaching_home().post(f"https://hooks.example.org:{port}/", b"", {})


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("http://hooks.example.org/", "https://"),
        ("ftp://hooks.example.org/", "https://"),
        ("https:///path", "https://"),
        ("hooks.example.org", "https://"),
        ("https://hooks.example.org:0/", "https://"),
        ("https://hooks.example.org:99999/", "no URL"),
        ("https://[::1/", "no URL"),
        ("https://user:secret@hooks.example.org/", "no user name"),
        ("https://hooks.example.org/#there", "fragment"),
        ("https://hooks.example.org/a b", "ASCII"),
        ("https://hooks.example.org/\r\nX: y", "ASCII"),
        ("https://höoks.example.org/", "ASCII"),
        ("https://hooks.example.org/" + "x" * 1_024, "1,024"),
        ("https://127.0.0.1/", "not public"),
        ("https://[::1]/", "not public"),
        ("https://[::ffff:10.0.0.1]/", "not public"),
        ("https://2130706433/", "not public"),
    ],
)
def test_a_url_that_nothing_is_posted_to_says_what_it_must_be(url: str, wrong: str) -> None:
    with pytest.raises(BadUrl, match=wrong):
        Outbound().check(url)
    with pytest.raises(Undelivered):
        Outbound().post(url, b"", {})
