"""Workers on the nodes of a Ray cluster.

executor    the driver: hands blocks out and takes results, never waits for ever
manager     a process beside it that alone speaks with Ray: hires, watches, gives out
schedule    which block is whose, without Ray
checkpoints folders that are sent to nodes
worker      what runs on a node
"""
