"""The combiner: reads prediction events, emits partial histograms.

What it emits is a function of the log alone: it cuts each source partition into fixed chunks, reads every chunk from
its first record, and emits cumulative partials of the open ones. Therefore nothing here needs a transaction: after a
replay or a rebalance, and from a zombie, the same partials come again.

    read ─▶ decode ─▶ add to the open chunk ─▶ count ─▶ emit (every interval) ─▶ await Kafka ─▶ commit

Each step is short, whatever is sent, and yields to heartbeats before the next.
"""
