"""`sentryml backtest`: which incidents past predictions would have opened, without any server.

The same statistics and the same `decide` as those of the services (`sentryml_lifecycle.backtest`), an extra of this
package. Only `command.py` may be imported without it.
"""
