-- What waits to be merged, by practice. Names of practices and counts; no row of theirs.
CREATE TABLE wardlake.captures (
    source       text   COLLATE "C" PRIMARY KEY,
    last_batch   bigint NOT NULL DEFAULT 0,
    acknowledged text   NOT NULL DEFAULT '',
    epoch        bigint NOT NULL DEFAULT 0,
    captured_to  timestamptz
);

CREATE TABLE wardlake.practices (
    source       text COLLATE "C" NOT NULL,
    practice     text COLLATE "C" NOT NULL,
    lane         text NOT NULL CHECK (lane IN ('steady', 'backfill')),
    standing     text NOT NULL CHECK (standing IN ('ready', 'waiting', 'quarantined')),
    reason       text NOT NULL DEFAULT '',
    tables       text[] NOT NULL DEFAULT '{}',
    lease        bigint,
    leased_lane  text,
    leased_until timestamptz,
    leased_seconds integer NOT NULL DEFAULT 0,
    lapses       integer NOT NULL DEFAULT 0,
    merging      text NOT NULL DEFAULT '',
    lapsed_at    timestamptz,
    served_at    timestamptz NOT NULL DEFAULT '-infinity',
    merged_batch bigint NOT NULL DEFAULT 0,
    merges       bigint NOT NULL DEFAULT 0,
    committed_at timestamptz,
    merged_at    timestamptz,
    onboarded    boolean NOT NULL,
    base         numeric(38) NOT NULL DEFAULT 0,
    without_bad_to bigint NOT NULL DEFAULT 0,
    reach        bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (source, practice)
);

CREATE TABLE wardlake.practice_work (
    source       text   COLLATE "C" NOT NULL,
    practice     text   COLLATE "C" NOT NULL,
    batch        bigint NOT NULL,
    rows         bigint NOT NULL CHECK (rows > 0),
    is_base      boolean NOT NULL DEFAULT false,
    lease        bigint,
    first_at     timestamptz NOT NULL,
    committed_at timestamptz NOT NULL,
    arrived_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, practice, batch),
    FOREIGN KEY (source, practice) REFERENCES wardlake.practices
);

CREATE SEQUENCE wardlake.practice_leases;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'wardlake_pipeline') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON wardlake.captures, wardlake.practices, wardlake.practice_work TO wardlake_pipeline;
        GRANT USAGE ON SEQUENCE wardlake.practice_leases TO wardlake_pipeline;
    END IF;
END $$;
