"""`python -m sentryml_local.slack_stand_in`."""

from sentryml_local.slack_stand_in.app import main

if __name__ == "__main__":
    main()
