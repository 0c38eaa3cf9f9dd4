"""The templates of ``make new-study``, filled in by :mod:`boundary_loss.own.new_study`."""
