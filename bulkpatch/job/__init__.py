"""The user's files → Job, rows, plan; errors name file, line and column."""
