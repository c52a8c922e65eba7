"""Alerts: what a person should look at, told once, until it is over.

A rule says what is trouble. Trouble opens an alert of its subject, more of it is counted, and what
ends it resolves the alert. People acknowledge and resolve too, which is their doing and so a fact.
"""
