"""What all SentryML services share: contracts, and mechanisms without a rule of the domain."""
