"""Thousands of practices in one database: capture of their changes, fair ingest, marts, freshness, who may see what."""
