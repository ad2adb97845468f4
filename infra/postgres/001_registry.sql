-- The registry: JSON documents by collection and key. Locks are advisory locks and need no table.
CREATE TABLE wardlake.documents (
    collection text  COLLATE "C" NOT NULL,
    key        text  COLLATE "C" NOT NULL,
    document   jsonb NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (collection, key)
);
