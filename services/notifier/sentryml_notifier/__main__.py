"""`python -m sentryml_notifier`."""

from sentryml_notifier.app import main

if __name__ == "__main__":
    main()
