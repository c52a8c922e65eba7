"""Where a log goes on: from the stream, or from what was noted where the stream has forgotten."""

import pytest

from events.log.cursor import BEGINNING, Position
from projections.relay import standing
from projections.relay.standing import Found, Look, Noted

LOOK = Look("today", 100)
AT_5, AT_7 = Position(5, b"5" * 32), Position(7, b"7" * 32)


@pytest.mark.parametrize(
    ("noted", "found", "replaced", "expected"),
    [
        pytest.param(None, None, False, BEGINNING, id="a log that was never relayed"),
        pytest.param(None, Found(80, AT_7), False, AT_7, id="nothing noted"),
        pytest.param(
            Noted(AT_5, "today", 60), Found(80, AT_7), False, AT_7, id="noted some while ago"
        ),
        pytest.param(
            Noted(AT_5, "today", 80), Found(80, AT_7), False, AT_5, id="moved by a person"
        ),
        pytest.param(
            Noted(AT_7, "today", 90), Found(80, AT_5), False, AT_5, id="the newest is gone"
        ),
        pytest.param(Noted(AT_7, "today", 90), None, False, AT_7, id="removed by the limits"),
        pytest.param(
            Noted(AT_7, "today", 90), None, True, BEGINNING, id="lost, and another in its place"
        ),
        pytest.param(
            Noted(AT_7, "today", 101), None, False, BEGINNING, id="lost with the stream's end"
        ),
        pytest.param(Noted(AT_7, "monday", 90), None, False, BEGINNING, id="of an older stream"),
        pytest.param(
            Noted(AT_7, "monday", 80), Found(80, AT_5), False, AT_5, id="an older stream's place"
        ),
        pytest.param(Noted(AT_7, "today", 60), Found(80, None), False, None, id="not the relay's"),
    ],
)
def test_a_log_goes_on(
    noted: Noted | None, found: Found | None, replaced: bool, expected: Position | None
) -> None:
    assert standing.where(noted, found, LOOK, replaced=replaced) == expected


def test_the_noted_place_is_looked_at_only_where_it_decides() -> None:
    noted = Noted(AT_7, "today", 90)

    assert standing.is_asked_for(noted, None, LOOK)
    assert not standing.is_asked_for(noted, Found(80, AT_7), LOOK)
    assert not standing.is_asked_for(Noted(AT_7, "today", 101), None, LOOK)
    assert not standing.is_asked_for(None, None, LOOK)
