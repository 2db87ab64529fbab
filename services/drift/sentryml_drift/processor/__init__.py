"""The processor: reads partial histograms and keeps the sums in its table, exactly once."""
