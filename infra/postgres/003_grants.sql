-- What the group roles of roles.sql may do. A role that does not exist gets nothing.
DO $$
BEGIN
    REVOKE ALL ON SCHEMA wardlake FROM PUBLIC;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'wardlake_pipeline') THEN
        GRANT USAGE ON SCHEMA wardlake TO wardlake_pipeline;
        GRANT SELECT, INSERT, UPDATE, DELETE ON wardlake.documents TO wardlake_pipeline;
        GRANT SELECT, INSERT ON wardlake.audit_records TO wardlake_pipeline;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'wardlake_auditor') THEN
        GRANT USAGE ON SCHEMA wardlake TO wardlake_auditor;
        GRANT SELECT ON wardlake.audit_records TO wardlake_auditor;
    END IF;
END $$;
