"""Whether a stored answer may stand in for a fresh one: the wording of two turns compared, and the risk of it kept to a promise."""
