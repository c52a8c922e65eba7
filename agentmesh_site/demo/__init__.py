"""What `make run` shows: two tenants, their people, and fleets at work.

people        accounts, memberships and tokens
logins        the files that hold their secrets, for the newcomer and for the agents
distribution  when tasks arrive and how large they are
workload      the process beside the server that keeps the fleets at work, as clients of it:
  agent         one agent: the example that integrators begin with
  fleet         all of a tenant's, and their ups and downs
  arrivals      the tasks that they are given
  desk          whoever gives them, and orders pauses: requests with an operator's token
  keyring       the tokens of all of these
"""
