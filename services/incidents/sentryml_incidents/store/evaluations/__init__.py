"""The SQL of evaluations: kept by the week, thinned out for curves."""
