"""What `make run` shows: two tenants, their people, and fleets at work.

people        accounts, memberships and tokens, and the file that holds them for the newcomer
distribution  when tasks arrive and how large they are
workload      the process beside the server that keeps the fleets at work
"""
