-- What a platform tells terminals to do, and what became of it. Name that CONTRACT promises: commands.

CREATE TABLE commands (
    id              uuid PRIMARY KEY,
    terminal_id     bigint NOT NULL,
    phone           text NOT NULL,
    message_id      integer NOT NULL,
    body            jsonb NOT NULL,       -- as it was asked for
    payload         bytea NOT NULL,       -- the body as it is sent
    state           text NOT NULL CHECK (state IN
        ('queued', 'sent', 'acknowledged', 'answered', 'refused', 'timed_out', 'expired')),
    requested_by    text NOT NULL,        -- id of the API key
    idempotency_key text,
    timeout         real NOT NULL,        -- seconds from sending to the answer
    created_at      timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz NOT NULL, -- until when it may be sent
    sent_at         timestamptz,
    acknowledged_at timestamptz,
    answered_at     timestamptz,
    ended_at        timestamptz,
    result          smallint,             -- of the terminal's general acknowledgement
    answer_id       integer,
    answer          jsonb,
    reason          text,
    UNIQUE (requested_by, idempotency_key)
);
CREATE INDEX commands_phone ON commands (phone, created_at, id);
CREATE INDEX commands_queued ON commands (phone, created_at, id) WHERE state = 'queued';
