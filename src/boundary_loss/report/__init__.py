"""A study's report: a table for the terminal, ``report.csv`` and a self-contained ``report.html``."""
