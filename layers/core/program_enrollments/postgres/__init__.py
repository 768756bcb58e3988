"""PostgreSQL as the verbs see it: connect, transaction, savepoint. Only this package knows pg8000."""
