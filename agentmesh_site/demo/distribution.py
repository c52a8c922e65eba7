"""When the demo's tasks arrive and how large they are: drawn as the real trace has them.

Quantiles that we took of the Azure LLM inference trace 2023, code (Azure Public Dataset, CC-BY 4.0;
Patel et al., "Splitwise: Efficient Generative LLM Inference Using Phase Splitting", ISCA 2024):
8,819 requests of one hour. Between two quantiles a draw is spread evenly. Gaps, prompts and answers
are drawn independently: in the trace the sizes have no correlation either (0.001).
"""

import random
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

_SHARES = (0.0, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99, 0.995, 0.999)
_GAP_SECONDS = (0, 0.0001, 0.0002, 0.0021, 0.0638, 0.104, 0.2728, 0.4008, 2.2046, 8.4061, 78.4)
_CONTEXT_TOKENS = (3, 75, 147, 578, 1469, 2744, 5186, 7302, 7436, 7436, 7437)
_GENERATED_TOKENS = (6, 6, 7, 9, 13, 24, 55, 90, 249, 343, 824)

LONGEST_LULL_SECONDS = 8.0  # the trace has minutes without a request; nobody watches that


class Sizes(NamedTuple):
    context_tokens: int
    generated_tokens: int


def gap_seconds(chance: random.Random, stretch: float) -> float:
    """How long until the next task: bursts and lulls as in the trace, `stretch` times as long."""
    return min(_draw(chance, _GAP_SECONDS) * stretch, LONGEST_LULL_SECONDS)


def sizes(chance: random.Random) -> Sizes:
    """How much a task reads and writes."""
    return Sizes(round(_draw(chance, _CONTEXT_TOKENS)), round(_draw(chance, _GENERATED_TOKENS)))


def _draw(chance: random.Random, quantiles: Sequence[float]) -> float:
    share = chance.random() * _SHARES[-1]
    place = bisect_right(_SHARES, share) - 1
    inside = (share - _SHARES[place]) / (_SHARES[place + 1] - _SHARES[place])
    return quantiles[place] + inside * (quantiles[place + 1] - quantiles[place])
