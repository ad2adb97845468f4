-- Who may see which practice in the warehouse, in which role, from when until when, granted by whom, why. Rows are never removed:
-- an entitlement that ends keeps its row, with who ended it and why.
CREATE TABLE wardlake.entitlements (
    number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source     text   COLLATE "C" NOT NULL,
    user_name  text   COLLATE "C" NOT NULL CHECK (user_name ~ '^[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}$'),
    practice   text   COLLATE "C",
    role       text   NOT NULL CHECK (role IN ('manager', 'clinician', 'billing', 'administrator')),
    begins     timestamptz NOT NULL,
    until      timestamptz NOT NULL CHECK (until > begins),
    granted_by text   NOT NULL CHECK (granted_by <> user_name),
    granted_at timestamptz NOT NULL,
    reason     text   NOT NULL CHECK (reason <> ''),
    ended_by   text,
    ended_at   timestamptz,
    end_reason text,
    CHECK ((role = 'administrator') = (practice IS NULL)),
    CHECK (num_nonnulls(ended_by, ended_at, end_reason) IN (0, 3)),
    FOREIGN KEY (source, practice) REFERENCES wardlake.practices
);

CREATE UNIQUE INDEX entitlements_open ON wardlake.entitlements (source, user_name, role, coalesce(practice, ''))
    WHERE ended_at IS NULL;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'wardlake_pipeline') THEN
        GRANT SELECT, INSERT ON wardlake.entitlements TO wardlake_pipeline;
        GRANT UPDATE (ended_by, ended_at, end_reason) ON wardlake.entitlements TO wardlake_pipeline;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'wardlake_auditor') THEN
        GRANT SELECT ON wardlake.entitlements TO wardlake_auditor;
    END IF;
END $$;

-- Ending is once and for all: what has ended is granted anew, never opened again.
CREATE FUNCTION wardlake.keep_ended_entitlements() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF OLD.ended_at IS NOT NULL THEN
        RAISE EXCEPTION 'an entitlement that has ended stays as it is' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER entitlements_keep_ended
    BEFORE UPDATE ON wardlake.entitlements
    FOR EACH ROW EXECUTE FUNCTION wardlake.keep_ended_entitlements();
