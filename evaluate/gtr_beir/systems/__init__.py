"""Systems: whatever ranks a dataset's documents for its queries."""
