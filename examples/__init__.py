"""Programs of others, to begin from. None of them needs AgentMesh."""
