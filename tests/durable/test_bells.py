"""A bell: rings while nobody waits are kept, each tenant once, and nobody waits for ever."""

import threading
import time

from events.worker.bells import Bell


def test_rings_while_nobody_waits_are_kept_each_tenant_once() -> None:
    bell = Bell()
    bell.ring(["acme", "globex"])
    bell.ring(["acme"])

    assert bell.wait(10) == {"acme", "globex"}
    assert bell.wait(0.01) == frozenset()


def test_whoever_waits_is_woken_at_once() -> None:
    bell, heard = Bell(), []

    def wait() -> None:
        heard.append(bell.wait(30))

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.05)
    bell.ring(["acme"])
    waiting.join(10)

    assert heard == [{"acme"}]


def test_nobody_waits_at_a_silenced_bell() -> None:
    bell, heard = Bell(), []

    def wait() -> None:
        heard.append(bell.wait(30))

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.05)
    bell.silence()
    waiting.join(10)

    assert heard == [frozenset()]
    assert bell.wait(30) == frozenset()
