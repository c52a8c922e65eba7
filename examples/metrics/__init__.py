"""The decision record's analytics system: how many tasks each agent completed, and in what time."""
