"""What a row of a ledger costs: memory and time of a training step and of inference, by the size of the volume.

counting.py   what a step keeps, at any size, without allocating it
bench.py      one measurement after another, until the next would take too much
measuring.py  steps and inference that are run on this machine
published.py  what the paper of OSS-Net measured
"""
