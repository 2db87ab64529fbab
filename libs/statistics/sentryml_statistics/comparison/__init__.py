"""What is made of the counts: bins, PSI, noise, and the evaluation of a monitor."""
