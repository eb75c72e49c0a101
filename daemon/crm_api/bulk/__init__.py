"""Bulk: jobs of many rows that are worked off in the background. `rest` is version 2.0, `classic` 1.0."""
