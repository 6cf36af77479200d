"""Correlations in; terminal tables, Markdown, LaTeX, CSV, HTML pages and pictures out."""
