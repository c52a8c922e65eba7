"""Rebuilds that somebody asked for: the worker makes the rows anew, and what came of it is kept.

asking    a request, and that there is one already
sweep     the worker takes up the open ones, one after the other
turn      one of them: progress, its end, and what a worker that was ended leaves to the next

How rows are made anew is `events.durable.rebuilding`, as `manage.py rebuild` does it.
"""
