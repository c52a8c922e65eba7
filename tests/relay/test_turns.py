"""Whose turn it is."""

from projections.relay.turns import Turns


def test_new_events_wait_for_one_page_of_those_that_catch_up() -> None:
    turns = Turns()
    turns.add(["acme"])
    order = []
    for turn in range(8):
        if turn == 3:
            turns.add(["globex"])
        order.append(turns.take())
        if order[-1] == "acme":
            turns.add_behind("acme")

    assert "globex" in order[3:5]
    assert order.count("acme") == 7


def test_those_that_catch_up_take_turns() -> None:
    turns = Turns()
    for tenant in ("acme", "globex", "initech"):
        turns.add_behind(tenant)
    order = []
    for _ in range(6):
        order.append(turns.take())
        turns.add_behind(order[-1])

    assert order == ["acme", "globex", "initech"] * 2


def test_a_flood_of_new_events_does_not_stop_those_that_catch_up() -> None:
    turns = Turns()
    turns.add_behind("acme")
    order = []
    for number in range(6):
        turns.add([f"t-{number}", f"u-{number}"])
        order.append(turns.take())
        if order[-1] == "acme":
            turns.add_behind("acme")

    assert order.count("acme") == 3


def test_a_tenant_has_one_turn_however_often_its_log_has_grown() -> None:
    turns = Turns()
    turns.add(["acme", "acme"])
    turns.add_behind("acme")
    turns.add(["acme"])

    assert turns.take() == "acme"
    assert not turns
