"""The proof that no change of a log goes unseen; `make prove` runs all of it."""
