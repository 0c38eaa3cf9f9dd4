"""The training loop: devices, one epoch, predictions on disk, checkpoints."""
