"""What is counted: cells, histograms, and how they are stored."""
