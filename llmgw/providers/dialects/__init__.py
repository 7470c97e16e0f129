"""Wire formats: a folder here is a dialect that callers may speak to us, that we speak to upstreams, or both."""
