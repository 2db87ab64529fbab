"""What is made of the counts: evaluations on a schedule, activity, and previews."""
