"""Earlier forms of facts that have changed since: what old rows hold and old subscribers expect.

One module for each superseded version. It holds the definition as it stood, which bears the wire
type of its descendant and its own version, and the `Caster` between it and the next version. The
registry finds both by themselves: a new module needs no other line anywhere. Nothing records an
ancestor any more, and a module that stands here is never edited. docs/schemas.md shows one made.
"""

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType


def modules() -> tuple[ModuleType, ...]:
    """Every ancestor's module, by name."""
    names = sorted(found.name for found in iter_modules(__path__))
    return tuple(import_module(f"{__name__}.{name}") for name in names)
