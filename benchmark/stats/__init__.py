"""Arrays and tables in, measures, correlations, intervals and tests out. No PyTorch is imported here."""
