"""Pages of what others make of the log."""
