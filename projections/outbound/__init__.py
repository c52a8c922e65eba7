"""Requests to addresses that tenants name: to public ones alone, judged on the connection itself.

Alerts post through it now; webhook endpoints, with their retries and replay, belong here too.
"""
