"""Does one row of the ledger beat another? The tests, one comparison and its sentence, all comparisons of a report."""
