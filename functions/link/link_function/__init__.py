"""The linking function: HTTP routes and direct invocations, what goes in and what comes out."""
