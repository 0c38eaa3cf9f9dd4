"""Draw plots and overlays; options that their commands share."""
