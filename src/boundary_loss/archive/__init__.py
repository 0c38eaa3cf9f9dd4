"""A study's results in one file that keeps: packed whole, read-only, with a checksum of every member inside."""
