"""The statistics of SentryML, pure: no clock, no randomness, no I/O. To be read in this order:

cells            a number → the cell it counts in
cell_counts      counts of numbers, category_counts  counts of categories
histogram        both and nulls: what one signal looked like
pane_counts      the histograms of all signals in one pane, codec  their bytes
panes            time cut into panes, windows  panes put together to baseline and current window
binning          bins from the baseline, psi  the distance, noise (and chi_square)  what chance alone does
evaluation       all of it: two windows → a level
activity         what a model has been doing, schedule  when it is looked at

How counts get there exactly once, whatever is restarted or read again:

rows             which events count, and in which panes
chunks           the log cut into pieces, each counted from its start; facts  what is known beside the counts
partials         what the combiner sends (and payloads  in them), chunked_sum  how the processor adds it up

`docs/drift.md` leads one example through the method.
"""
