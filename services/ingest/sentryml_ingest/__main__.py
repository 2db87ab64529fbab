"""`python -m sentryml_ingest`."""

from __future__ import annotations

from sentryml_ingest.app import main

if __name__ == "__main__":
    main()
