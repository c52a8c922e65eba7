"""How the server puts its answers on the wire."""

import asyncio
import socket

from agentmesh_site.serving import send_at_once


class Accepted(asyncio.Transport):
    """The server's side of a real connection, as `socket.create_server` accepts it."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__({"socket": connection})


def test_no_part_of_an_answer_waits_for_the_acknowledgement_of_the_one_before() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()),
    ):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0

            send_at_once(Accepted(connection))

            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
