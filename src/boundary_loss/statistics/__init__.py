"""Compare rows of the ledger: statistical tests, single comparisons with their sentences, all those of a report."""
