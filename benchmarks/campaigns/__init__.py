"""Campaigns of `faults.py`: what is done to the program, and what it may do about it.

trial     one command in a process of its own, and how it ended
world     datasets, results and checkpoints that campaigns begin from
kills     SIGKILL at random moments
disks     file systems that are full, out of inodes, or read-only in the middle
damages   stored files with other bytes
inputs    hostile datasets, archives, runs and checkpoints
servers   servers that misbehave
crowds    several processes on one store, and little memory
"""
