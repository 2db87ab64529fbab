"""What is done to incidents and monitors, for REST, pages and Slack alike."""
