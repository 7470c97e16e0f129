"""What an operator asks of a gateway, the same by command and over HTTP: a file here is one noun."""
