"""`make bench-noise`."""

from __future__ import annotations

import sys

from bench.noise.run import main

if __name__ == "__main__":
    sys.exit(main())
