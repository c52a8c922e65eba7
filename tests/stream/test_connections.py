"""What a server asks of its database when many come at once."""

from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.stream.server import Server


def test_fifty_requests_at_once_wait_for_the_ten_connections(server: Server) -> None:
    def ask(_: int) -> int:
        return httpx.get(f"{server.url}/health/ready", timeout=30).status_code

    with ThreadPoolExecutor(50) as clients:
        assert list(clients.map(ask, range(60))) == [200] * 60
