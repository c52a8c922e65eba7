"""Notifications: what became of alerts, to people and programs outside, in digests.

Whoever opens or resolves an alert notes it for each target, in the same transaction. A sweep makes
one message a target of all that has gathered, and sends it until it is taken or too old.
"""
