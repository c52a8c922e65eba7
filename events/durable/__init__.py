"""Durable subscriptions: reading each tenant's log for each of them, and remembering how far.

    registration   where a subscription begins
    lease          who may read and write for one (subscription, tenant) now
    reading        the next events that a subscription wants
    handling       a batch for a reaction, a projection's handler, a read model
    held           streams that failed: tried again, parked, skipped
    turn           one go at one (subscription, tenant): all of the above
    rows           a read model's rows in the database
    rebuilding     a projection anew, beside the live one; or only compared
    status         how far everybody is

A checkpoint remembers the hash of the event it stands at. Where the log has no such event (an older
backup was put back, or another log in its place) the subscription stops there, says why, and stays
so until a person has decided where it goes on.
"""
