// The tables of copies.db: what must survive a restarted machine or container.
//
// One row a local copy. A row in state `clean` or `partial` promises that the ranges it names hold exactly the
// bytes of that object version; it is withdrawn, durably, before anyone may write to the file again.

/** Raised when the tables change, with a step in MIGRATIONS; a newer version is refused rather than guessed at. */
export const SCHEMA_VERSION = 4;

/** What makes the tables of the next version of those of the version that is the key. Nothing is taken away by it. */
export const MIGRATIONS: Readonly<Record<number, string>> = {
  1: `
ALTER TABLE copies ADD COLUMN changed TEXT;
ALTER TABLE copies ADD COLUMN base TEXT;
ALTER TABLE copies ADD COLUMN properties TEXT;
ALTER TABLE copies ADD COLUMN operations TEXT;
ALTER TABLE copies ADD COLUMN kept_ms INTEGER;
ALTER TABLE copies ADD COLUMN superseded_ms INTEGER;
`,
  2: `
ALTER TABLE copies ADD COLUMN replacing TEXT;
`,
  3: `
ALTER TABLE patches ADD COLUMN content TEXT;
`,
};

export const SCHEMA = `
CREATE TABLE IF NOT EXISTS identity (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS copies (
  id TEXT PRIMARY KEY,          -- file name below copies/
  object TEXT NOT NULL,         -- name in the bucket
  state TEXT NOT NULL,          -- clean | partial | dirty | owed | uploaded | unlinked | unfinished | failed
  generation INTEGER,           -- version the present ranges belong to
  version TEXT,                 -- that version's attributes, JSON
  present TEXT,                 -- [[start,end],…]; NULL: the whole file
  bytes INTEGER NOT NULL,       -- bytes held on disk
  error TEXT,                   -- why an upload failed (state failed)
  used_ms INTEGER NOT NULL,     -- last use, for eviction
  changed TEXT,                 -- since the version: nothing | appended | anywhere; NULL: only ctime tells
  base TEXT,                    -- what the upload was to replace: a generation, or absent; NULL: not known
  properties TEXT,              -- what was to go with the bytes: contentType, metadata; JSON
  operations TEXT,              -- ids of uploads that may have arrived; JSON
  kept_ms INTEGER,              -- since when it is owed, or kept for a person (states unfinished and failed)
  superseded_ms INTEGER,        -- when a later upload under the same name succeeded
  replacing TEXT                -- of what is owed: whole | edited | exclusive
) STRICT;
CREATE INDEX IF NOT EXISTS copies_by_object ON copies (object, state);
CREATE INDEX IF NOT EXISTS copies_by_use ON copies (state, used_ms);

-- Resumable uploads under way: where they go on after a crash (RULES 20).
CREATE TABLE IF NOT EXISTS uploads (
  copy_id TEXT PRIMARY KEY,
  object TEXT NOT NULL,
  operation TEXT NOT NULL,
  session_url TEXT NOT NULL
) STRICT;

-- Metadata changes acknowledged but not yet in the bucket (RULES 14).
CREATE TABLE IF NOT EXISTS patches (
  object TEXT PRIMARY KEY,
  generation INTEGER NOT NULL,
  metadata TEXT NOT NULL,       -- JSON, null deletes a key
  content TEXT                  -- what a rename is bringing under this name: its sum and size; NULL: it is there
) STRICT;

-- Names removed here whose object is still needed by those who have it open (RULES 28).
CREATE TABLE IF NOT EXISTS removals (
  object TEXT NOT NULL,
  generation INTEGER NOT NULL,
  PRIMARY KEY (object, generation)
) STRICT;

-- Uploads nobody knows the outcome of, under names that were removed or left since: what they make is deleted (RULES 6).
CREATE TABLE IF NOT EXISTS tombstones (
  object TEXT NOT NULL,
  operation TEXT NOT NULL,
  since_ms INTEGER NOT NULL,
  PRIMARY KEY (object, operation)
) STRICT;

-- Exchanges of two names under way: the first object is copied aside, then each goes over the other.
CREATE TABLE IF NOT EXISTS exchanges (
  aside TEXT PRIMARY KEY,       -- where the first object is kept meanwhile
  one TEXT NOT NULL,
  one_generation INTEGER NOT NULL,
  other TEXT NOT NULL,
  other_generation INTEGER NOT NULL
) STRICT;

-- Folder renames under way on a flat bucket: resumed at the next start (RULES 28).
CREATE TABLE IF NOT EXISTS renames (
  source TEXT PRIMARY KEY,
  destination TEXT NOT NULL
) STRICT;
`;
