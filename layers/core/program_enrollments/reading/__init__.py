"""Who is linked, who waits, and what is amiss: everything here only reads."""
