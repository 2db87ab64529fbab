"""The combiner: reads prediction events, emits partial histograms.

What it emits is a function of the log alone: it cuts each source partition into fixed chunks, reads every chunk from
its first record, and emits cumulative partials of the open ones. Therefore nothing here needs a transaction: a replay,
a regrouping or a zombie says the same again.

    read ─▶ decode ─▶ add to the open chunk ─▶ count ─▶ emit (every interval) ─▶ await Kafka ─▶ commit

Whatever is sent, each step is short, and gives way to heartbeats before the next.
"""
