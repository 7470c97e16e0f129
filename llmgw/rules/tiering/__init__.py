"""Which tier a prompt needs: a score whose terms can be shown, what it learns from outcomes, and the owner's dial."""
