"""Finished cells as tables with the paper's columns, and tables of others read the same way."""
