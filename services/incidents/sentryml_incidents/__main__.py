"""`python -m sentryml_incidents`."""

from __future__ import annotations

from sentryml_incidents.app import main

if __name__ == "__main__":
    main()
