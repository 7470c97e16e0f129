"""Pure decisions: state, input and the moment in, a verdict out."""
