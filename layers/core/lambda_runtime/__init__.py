"""What the functions share of AWS: the warm connection, the logger and the metrics."""
