"""What facts promise to their readers: JSON Schemas, and the lock that holds them to it."""
