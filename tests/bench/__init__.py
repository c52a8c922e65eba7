"""Figures, as ratios to the raw limit in the same run: `make bench`. No figure here is a test."""
