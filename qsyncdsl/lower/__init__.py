"""From a system to the problem of one method; one file per method."""
