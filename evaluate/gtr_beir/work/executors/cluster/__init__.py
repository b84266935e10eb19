"""Workers on the nodes of a Ray cluster.

executor    the driver: hands blocks out and takes results, never waits for ever
pipe        between the driver and the manager
manager     a process beside it that alone speaks with Ray
reaching    how it comes to speak with Ray, and when the head counts as gone
crew        workers: hired, watched, replaced, left out
searching   what a worker is asked for one search, and what becomes of the answers
schedule    which block is whose, without Ray
sending     folders of checkpoints, as nodes get them
checkpoints their files and hashes
worker      what runs on a node
"""
