-- The audit's second sink. Append-only by grant (the pipeline's role may insert and read) and by trigger (not even the
-- table's owner updates, deletes or truncates without first removing the trigger, which the server's own log shows).
CREATE TABLE wardlake.audit_records (
    sequence   bigint PRIMARY KEY CHECK (sequence > 0),
    previous   text   NOT NULL,
    hash       text   NOT NULL UNIQUE,
    body       text   NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION wardlake.refuse_audit_change() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    RAISE EXCEPTION 'audit records are append-only' USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER audit_records_keep_rows
    BEFORE UPDATE OR DELETE ON wardlake.audit_records
    FOR EACH ROW EXECUTE FUNCTION wardlake.refuse_audit_change();
CREATE TRIGGER audit_records_keep_table
    BEFORE TRUNCATE ON wardlake.audit_records
    FOR EACH STATEMENT EXECUTE FUNCTION wardlake.refuse_audit_change();
ALTER TABLE wardlake.audit_records ENABLE ALWAYS TRIGGER audit_records_keep_rows;
ALTER TABLE wardlake.audit_records ENABLE ALWAYS TRIGGER audit_records_keep_table;

-- Each record continues the chain. The lock makes writers take turns, so that none reads a head that is about to change.
CREATE FUNCTION wardlake.check_audit_chain() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    head wardlake.audit_records%ROWTYPE;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('wardlake.audit_records', 0));
    SELECT * INTO head FROM wardlake.audit_records ORDER BY sequence DESC LIMIT 1;
    IF head.sequence IS NOT NULL AND (NEW.sequence <> head.sequence + 1 OR NEW.previous <> head.hash) THEN
        RAISE EXCEPTION 'the record does not continue the chain' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER audit_records_continue
    BEFORE INSERT ON wardlake.audit_records
    FOR EACH ROW EXECUTE FUNCTION wardlake.check_audit_chain();
ALTER TABLE wardlake.audit_records ENABLE ALWAYS TRIGGER audit_records_continue;
