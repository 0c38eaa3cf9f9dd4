"""From a run's saved predictions to its val_*.npy: what is measured, by whom, and how the arrays are put together."""
