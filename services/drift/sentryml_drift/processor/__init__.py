"""The processor: takes in partial histograms and keeps the sums in its table, exactly once."""
