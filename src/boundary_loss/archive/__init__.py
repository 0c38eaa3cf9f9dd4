"""Pack a study's results into one read-only file with a checksum of every member, and check or unpack it."""
