"""For eyes: tables, plots and equations."""
