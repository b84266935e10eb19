"""What the GTR paper says, beside what was measured."""
