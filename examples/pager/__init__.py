"""The decision record's monitoring system: it calls somebody when an agent falls ill."""
