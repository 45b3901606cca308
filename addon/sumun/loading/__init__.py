"""Files to a running policy: reads, verifies, compiles off the serving path, keeps the last good one, watches."""
