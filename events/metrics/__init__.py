"""What a running AgentMesh counts and measures, for Prometheus and its kind.

    instruments  every number that is counted as things happen, declared in one place
    sharing      the processes of one machine count together, and any of them answers for all
    standing     what the database knows: lags, what is parked, how old the last checkpoint is

No label ever names a tenant, an agent or a person: their number has no bound, and whoever may read
metrics need not know them. The page itself is composed in `agentmesh_site.metrics`.
"""
