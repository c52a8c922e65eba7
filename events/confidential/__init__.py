"""Confidential payloads: tasks' opaque `input` and `result`, encrypted before they are hashed.

    form       the bytes: how a payload is sealed and a data key wrapped; no database, no settings
    keys       the keys that wrap data keys, from the environment, and what a data key's row says
    seal       before an append: the facts with their payloads sealed, and the rows of new keys
    reveal     at every door: what somebody may read of sealed payloads, and why not of the others
    erase      the destruction of keys, with the fact that says so; and again after a restore
    rewrap     the change of the key that wraps

The log holds the sealed form and never changes. Destroying the key of a task is what erases it.
docs/personal-data.md tells it to those who run, audit and verify.
"""
