"""The service on a developer's machine: a database, a sample roster, an HTTP front."""
