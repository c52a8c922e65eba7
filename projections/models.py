"""Where Django looks for this room's models; each stands with what it is for."""

from projections.relay.models import RelayedLog

__all__ = ["RelayedLog"]
