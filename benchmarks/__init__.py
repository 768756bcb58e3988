"""What linking costs, side by side with the plain way and with the least that PostgreSQL could take for it."""
