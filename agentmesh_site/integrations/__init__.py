"""The pages of Integrations that see more than the events: what follows the log, and the relay."""
