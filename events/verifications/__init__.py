"""Verifications that somebody asked for: the worker follows the chain, and the answer is kept.

asking    a request, and the one there is already
sweep     the worker goes on with the open ones, a little at a time
turn      one such little: from where the last one came to
"""
