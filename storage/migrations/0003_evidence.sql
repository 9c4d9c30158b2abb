-- Files that belong to alarms, and the numbers under which they may be uploaded. Name that CONTRACT promises:
-- evidence.

-- Each number is a capability: random, bound to a terminal and to the identifier of its alarm.
CREATE TABLE evidence_requests (
    number      text PRIMARY KEY,            -- 32 characters, as 0x9208 and 0x1210 carry it
    alarm_id    uuid NOT NULL,
    terminal_id bigint NOT NULL,
    phone       text NOT NULL,
    identifier  bytea NOT NULL,              -- of the alarm, byte for byte
    occurred_at timestamptz NOT NULL,        -- of the alarm
    attempt     smallint NOT NULL,           -- from 1
    command_id  uuid,                        -- the 0x9208; null: not handed over yet
    issued_at   timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,        -- until when it opens the door
    active_at   timestamptz,                 -- when files were last announced under it
    closed_at   timestamptz,                 -- complete, given up, or replaced by a newer number
    UNIQUE (alarm_id, attempt)
);
CREATE INDEX evidence_requests_open ON evidence_requests (issued_at) WHERE closed_at IS NULL;
CREATE INDEX evidence_requests_alarm ON evidence_requests (terminal_id, occurred_at);

-- One row a file. Alarms of one item (two tyres, say) share its files: the row names the first of them.
CREATE TABLE evidence (
    alarm_id     uuid NOT NULL,
    n            integer NOT NULL,           -- from 1, within the alarm
    terminal_id  bigint NOT NULL,
    phone        text NOT NULL,
    identifier   bytea NOT NULL,
    occurred_at  timestamptz NOT NULL,       -- of the alarm
    name         text NOT NULL,              -- as the terminal has it; metadata, never a path
    slot         text NOT NULL,              -- the name without the number: the same file in a later attempt
    type         smallint,                   -- as 0x1211 says
    size         bigint NOT NULL,            -- announced, bytes
    received     bigint NOT NULL DEFAULT 0,  -- bytes
    state        text NOT NULL CHECK (state IN ('expected', 'partial', 'complete', 'failed')),
    sha256       bytea,                      -- where it lies in the store
    media_type   text,                       -- told by its content
    reason       text,                       -- why it failed
    announced_at timestamptz NOT NULL DEFAULT now(),
    changed_at   timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    PRIMARY KEY (alarm_id, n)
);
CREATE INDEX evidence_alarm ON evidence (terminal_id, occurred_at);
CREATE INDEX evidence_sha256 ON evidence (sha256);

-- Alarms with files that nobody has asked for yet.
CREATE INDEX alarms_attachments ON alarms (committed_at) WHERE attachments > 0;
