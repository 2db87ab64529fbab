"""The method, free of servers: cells, histograms, bins, PSI, noise, windows, and an evaluation made of them."""
