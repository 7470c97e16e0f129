"""A private gateway with simulated upstreams, callers and a past, for `llmgw demo`: nothing real is touched."""
