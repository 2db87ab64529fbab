"""The rules of incidents, free of servers: the snapshot, `decide`, previews, and the words of each step."""
