"""Proof: whether the log is what was appended, and what an auditor takes along to show it.

overview        how the log stands, in plain words; verifying it now
verifications   those that were asked for, and one of them while it goes on
checkpoints     the signed notes that are kept here, and the keys
bundles         an audit bundle of the log, or of a part of it
"""
