"""What the values of a chart are: how they read, and which of them stand at its axis."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from events import phrases

NOTHING = "\N{EN DASH}"
DECIMAL = (1.0, 2.0, 2.5, 5.0, 10.0)
SECOND, MINUTE, HOUR, DAY = 1_000.0, 60_000.0, 3_600_000.0, 86_400_000.0
# Of what takes longer than some seconds; each is a round time to say.
LASTING = (
    *(number * SECOND for number in (5, 10, 15, 30)),
    *(number * MINUTE for number in (1, 2, 5, 10, 15, 30)),
    *(number * HOUR for number in (1, 2, 3, 6, 12)),
    DAY,
)
MOST_STEPS = 4


@dataclass(frozen=True, slots=True)
class Unit:
    """exact: a value as its table has it; short: a tick of the axis. smallest: the least step
    between ticks; lasting: steps that are rounder than decimal ones from the first of them on;
    full: where the axis always ends, for what is a part of a whole."""

    exact: Callable[[float], str]
    short: Callable[[float], str]
    smallest: float = 0.0
    lasting: Sequence[float] = ()
    full: float | None = None

    def tell(self, value: float | None) -> str:
        return NOTHING if value is None else self.exact(value)


@dataclass(frozen=True, slots=True)
class Scale:
    """From 0 up to `top`, which is a whole number of steps above it."""

    step: float
    steps: int

    @property
    def top(self) -> float:
        return self.step * self.steps

    @property
    def ticks(self) -> list[float]:
        """From the highest to 0."""
        return [self.step * number for number in range(self.steps, -1, -1)]

    def share(self, value: float) -> float:
        """Of the axis, 0 to 1."""
        return min(max(value / self.top, 0.0), 1.0)


def scale(highest: float, unit: Unit) -> Scale:
    """The shortest axis of round steps that holds the value."""
    if unit.full is not None:
        return Scale(unit.full / MOST_STEPS, MOST_STEPS)
    least = max(highest / MOST_STEPS, unit.smallest) or 1.0
    step = _step(least, unit)
    return Scale(step, max(_ceil(highest / step), 1))


def _step(least: float, unit: Unit) -> float:
    """The first round one that is not below."""
    if unit.lasting and least > unit.lasting[0] / 2:
        for step in unit.lasting:
            if step >= least:
                return step
        longest = unit.lasting[-1]
        return longest * _decimal(least / longest, 1.0)
    return _decimal(least, unit.smallest)


def _decimal(least: float, smallest: float) -> float:
    power = 1.0
    while power * 10 <= least:
        power *= 10
    while power > least:
        power /= 10
    steps = (factor * power for factor in DECIMAL)
    return next(step for step in steps if step >= least and (not smallest or step % smallest == 0))


def _ceil(value: float) -> int:
    whole = int(value)
    return whole if whole == value else whole + 1


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _percent(value: float) -> str:
    """Of a part, 0 to 1. What is nearly the whole is not said to be it, nor is a little nothing."""
    text = f"{value:.1%}"
    if text == "100.0%" and value < 1:
        text = "99.9%"
    if text == "0.0%" and value > 0:
        text = "0.1%"
    return text.replace(".0%", "%").replace("%", " %")


def _milliseconds(value: float) -> str:
    """To three digits at least."""
    return f"{value:,.0f} ms" if value >= 100 or value == int(value) else f"{value:.3g} ms"  # noqa: PLR2004


def _lasting(value: float) -> str:
    """`0`, `250 ms`, `45 s`, `1 min`, `2 h`: what is nothing of the smaller unit is left out."""
    return phrases.took(value).removesuffix(" 0 s").removesuffix(" 0 min") if value else "0"


COUNT = Unit(_count, _count, smallest=1.0)
PERCENT = Unit(_percent, _percent, full=1.0)
MILLISECONDS = Unit(_milliseconds, _lasting, lasting=LASTING)
