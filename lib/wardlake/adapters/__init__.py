"""One real thing per file. The only importers of boto3, hvac, psycopg, great_expectations and delta."""
