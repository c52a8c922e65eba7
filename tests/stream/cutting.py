"""A network that breaks: a proxy that does to each stream in turn what it is told."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
WHOLE = -1  # let the stream run
REFUSED = 0


@dataclass
class Network:
    """`fates`: of the first stream, the second …: after how many bytes it is cut; REFUSED: it gets
    503; WHOLE, as all later ones: it runs. `streams` counts them. Other requests pass."""

    listener: socket.socket
    server: tuple[str, int]
    fates: list[int]
    streams: int = 0
    _open: list[socket.socket] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def serve(self) -> None:
        with suppress(OSError):  # closed: the end
            while True:
                client, _ = self.listener.accept()
                self._start(self._connect, client)

    def close(self) -> None:
        with self._lock:
            for each in (self.listener, *self._open):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()

    def _start(self, function: object, *arguments: object) -> None:
        assert callable(function)
        threading.Thread(target=function, args=arguments, daemon=True).start()

    def _keep(self, *connections: socket.socket) -> None:
        with self._lock:
            self._open.extend(connections)

    def _connect(self, client: socket.socket) -> None:
        """One request for each connection: who has more is told to make another for it."""
        self._keep(client)
        request = b""
        with suppress(OSError):
            while b"\r\n\r\n" not in request:
                received = client.recv(65_536)
                if not received:
                    return client.close()
                request += received
            first_line, _, rest = request.partition(b"\r\n")
            fate = self._fate() if b"/stream" in first_line else WHOLE
            request = first_line + b"\r\nConnection: close\r\n" + rest
            if fate == REFUSED:
                client.sendall(REFUSAL)
                return client.close()
            upstream = socket.create_connection(self.server)
            self._keep(upstream)
            upstream.sendall(request)
            self._start(self._pump, client, upstream)
            self._pump(upstream, client, fate)
        return None

    def _fate(self) -> int:
        with self._lock:
            self.streams += 1
            return self.fates.pop(0) if self.fates else WHOLE

    def _pump(self, source: socket.socket, sink: socket.socket, left: int = WHOLE) -> None:
        with suppress(OSError):
            while left and (data := source.recv(65_536 if left == WHOLE else left)):
                sink.sendall(data)
                if left != WHOLE:
                    left -= len(data)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextmanager
def network(port: int, *fates: int) -> Iterator[Network]:
    """Between a client and the server at `port`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Network(listener, ("127.0.0.1", port), list(fates))
        accepting = threading.Thread(target=made.serve, daemon=True)
        accepting.start()
        try:
            yield made
        finally:
            made.close()
            accepting.join(5)
