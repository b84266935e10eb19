"""Work: what a unit of work is, where finished ones are kept, and who does them."""
