"""How much one client may ask for: AGENTMESH_RATE_LIMITS, counted per principal and tenant.

scopes    what is counted apart from what, and how much of it is allowed
windows   what a count means: how much is left, and when there is more
counters  where is counted: in Redis across processes, else in this one
limiter   what a door asks: may this one go on?
"""
