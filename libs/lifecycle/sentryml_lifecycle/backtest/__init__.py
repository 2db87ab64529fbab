"""A backtest: past events through the same statistics and the same `decide` as the services, without any server."""
