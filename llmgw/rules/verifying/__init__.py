"""Whether an answer is good enough to be passed on, by what can be seen of it without a better model."""
