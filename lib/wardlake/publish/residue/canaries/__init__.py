"""Made-up identifiers that measure what the scan sees."""
