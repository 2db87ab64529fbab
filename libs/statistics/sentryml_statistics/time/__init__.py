"""Which time is counted: panes, windows, the schedule, normal time and seasons."""
