"""A trained network on whole volumes: slice by slice, or window by window."""
