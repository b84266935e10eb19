"""Who does the blocks of a search: this process, processes of this machine, or a Ray cluster."""
