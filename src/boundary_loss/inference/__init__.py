"""Whole volumes from a trained network: shown slice by slice or window by window, or asked point by point."""
