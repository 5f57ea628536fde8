"""Tables and figures of benchmark results, computed from result lines only."""
