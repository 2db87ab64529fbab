"""What each event does to an incident: one module for each kind of event, called by `state_machine`."""
