"""How plots and overlays are drawn, and the options that their commands share."""
