"""Pictures of a report as PNG, the same bytes for the same numbers."""
