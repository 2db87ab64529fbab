"""A stand-in for Slack: speaks the incoming-webhook protocol, keeps and shows what it got, fails on demand."""
