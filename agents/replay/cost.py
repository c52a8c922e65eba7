"""How long a request takes, and whether it fails: both follow from the request alone.

A language model answers in two phases (Patel et al., "Splitwise: Efficient Generative LLM Inference
Using Phase Splitting", ISCA 2024, the source of the trace): it reads the whole prompt at once, in a
time that grows with its length, and then writes one token after another, each at the same price. So

    execution_time_ms = 20 + 0.05 · ContextTokens + 31 · GeneratedTokens

Our coefficients give the trace's median request (1,469 tokens in, 13 out) half a second, about a
tenth of it before the first token: the order of a 70-billion-parameter model on one machine with
the accelerators of 2023.
"""

from typing import NamedTuple

OVERHEAD_MS = 20
MS_PER_CONTEXT_TOKEN = 0.05
MS_PER_GENERATED_TOKEN = 31

# One task in about a hundred fails, at places that do not depend on chance: a second run of the
# same file fails at the same rows. A prime, so that no rhythm of the trace falls in with it.
FAILS_EVERY = 97


class Failure(NamedTuple):
    code: str
    message: str


FAILURES = (
    Failure("MODEL_TIMEOUT", "The model did not answer in time."),
    Failure("RATE_LIMITED", "The model's provider refused further requests for now."),
    Failure("INVALID_OUTPUT", "The answer could not be parsed."),
)


def execution_time_ms(context_tokens: int, generated_tokens: int) -> int:
    """Whole milliseconds; see above."""
    return round(
        OVERHEAD_MS
        + MS_PER_CONTEXT_TOKEN * context_tokens
        + MS_PER_GENERATED_TOKEN * generated_tokens
    )


def failure(number: int) -> Failure | None:
    """How the task of this number (a trace's line) fails; None for 96 of 97."""
    turn, remainder = divmod(number, FAILS_EVERY)
    return None if remainder else FAILURES[turn % len(FAILURES)]
