"""Acme and Globex, as for the services."""

from tests.services.conftest import a1, acme, globex

__all__ = ["a1", "acme", "globex"]
