"""`python -m tests.prove.streams [crowd|churn|deaf|ending …] [--clients N] [--seconds N] …`

Every proof in turn, or those that are named, on both engines; smaller with smaller numbers.
"""

import argparse
import sys

from tests.prove.engines import HERE, on_both

MODULE = "tests.prove.streams"
PROOFS = ("crowd", "churn", "deaf", "ending")


def main(arguments: list[str]) -> int:
    if HERE not in arguments:
        _options(arguments)  # stops here at a wrong one, before anything is started
        return on_both(MODULE, arguments)
    import django

    django.setup()
    options = _options([each for each in arguments if each != HERE])
    for name in options.proofs or PROOFS:
        print(f" {name}", flush=True)
        _prove(name, options)
    return 0


def _prove(name: str, options: argparse.Namespace) -> None:
    from tests.prove.streams import churn, crowd, deaf, ending

    if name == "crowd":
        crowd.prove(options.clients or 1_000, options.rate or 10, options.seconds or 60)
    elif name == "churn":
        churn.prove(options.clients or 100, options.disconnects, options.rate or 20, options.seed)
    elif name == "deaf":
        deaf.prove(options.clients or 500, options.rate or 50, options.seconds or 20)
    else:
        ending.prove(options.clients or 1_000)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__)
    parser.add_argument("proofs", nargs="*", metavar="proof", help=f"of {', '.join(PROOFS)}")
    parser.add_argument("--clients", type=int, help="instead of each proof's own number")
    parser.add_argument("--rate", type=float, help="appends a second")
    parser.add_argument("--seconds", type=float, help="of appending")
    parser.add_argument("--disconnects", type=int, default=10_000, help="of churn")
    parser.add_argument("--seed", type=int, default=1, help="of churn")
    options = parser.parse_args(arguments)
    if wrong := set(options.proofs) - set(PROOFS):
        parser.error(f"no proof is called {', '.join(sorted(wrong))}")
    return options


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
