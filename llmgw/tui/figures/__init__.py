"""What the dashboard's screens show, as plain values computed from a `Picture`; nothing here draws."""
