-- Once per server, as a superuser. Login roles are then granted one of these; the owner of the schema is a third.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'wardlake_pipeline') THEN
        CREATE ROLE wardlake_pipeline NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'wardlake_auditor') THEN
        CREATE ROLE wardlake_auditor NOLOGIN;
    END IF;
END $$;
