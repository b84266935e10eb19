"""Results for other tools, and theirs for ours: MTEB's files, model cards."""
