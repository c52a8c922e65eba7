"""What two counts say about the last window's length of time."""

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from events.ratelimits.windows import Window

# A machine with too much to do is slow with the simplest example.
patiently = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def windows(draw: st.DrawFn) -> tuple[Window, int]:
    """A window as counters leave it, and its quota."""
    quota = draw(st.integers(1, 50))
    before = draw(st.integers(0, quota))
    length = draw(st.sampled_from([1, 60, 3_600]))
    left = draw(st.floats(0.001, 1)) * length
    fitting = Window(length, before, 0, left).remaining(quota)
    return Window(length, before, draw(st.integers(0, fitting)), left), quota


def later(window: Window, seconds: float) -> Window:
    """The same, so much later, when nobody has asked meanwhile."""
    left = window.left_seconds - seconds
    if left > 0:
        return Window(window.length_seconds, window.before, window.now, left)
    return Window(window.length_seconds, window.now, 0, left + window.length_seconds)


def test_what_was_counted_before_weighs_less_the_longer_ago_it_is() -> None:
    assert Window(60, 10, 0, 60).remaining(10) == 0
    assert Window(60, 10, 0, 30).remaining(10) == 5
    assert Window(60, 10, 4, 30).remaining(10) == 1
    assert Window(60, 0, 0, 60).remaining(10) == 10


@patiently
@given(windows(), st.integers(1, 50))
def test_who_waits_as_told_is_let_through_and_not_much_sooner(
    case: tuple[Window, int], cost: int
) -> None:
    window, quota = case
    assume(cost <= quota)
    wait = window.seconds_until(quota, cost)
    moment = window.length_seconds / 1_000
    assert 0 <= wait < 2 * window.length_seconds
    assert later(window, wait + moment).remaining(quota) >= cost
    if wait > 2 * moment:
        assert later(window, wait - moment).remaining(quota) < cost


@patiently
@given(windows())
def test_never_more_is_left_than_the_quota(case: tuple[Window, int]) -> None:
    window, quota = case
    assert 0 <= window.remaining(quota) <= quota
