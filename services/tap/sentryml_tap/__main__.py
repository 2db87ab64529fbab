"""`python -m sentryml_tap`."""

from __future__ import annotations

from sentryml_tap.app import main

if __name__ == "__main__":
    main()
