"""The tap: a process outside the core that takes predictions out of what others send, and drops everything else."""
