"""Finished work: what identifies a cell, which cells an experiment needs, where they are kept."""
