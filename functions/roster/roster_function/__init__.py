"""The roster function: /rosters, files that arrive in the bucket, and the steps of the state machine."""
