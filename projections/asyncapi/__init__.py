"""What AgentMesh sends by itself, as AsyncAPI 3: the stream of server-sent events, and the relay's
messages. Made of the registry and of what the stream and the relay are made of; kept as
docs/asyncapi.json."""
