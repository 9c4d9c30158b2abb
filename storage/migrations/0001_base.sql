-- The tables of the main job: who the terminals are, what they reported, what alarms came of it, and the
-- ordered log of events. Names that CONTRACT promises: terminals, locations, alarms, events, rejected.

CREATE TABLE terminals (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    phone         text NOT NULL UNIQUE,      -- header phone number, digits without leading zeros
    state         text NOT NULL DEFAULT 'active' CHECK (state IN ('provisioned', 'active', 'blocked')),
    edition       smallint,                  -- 2011, 2013 or 2019, as last seen
    province      integer, city integer, maker text, model text, terminal_no text,
    plate         text, plate_color smallint,
    code_hash     bytea,                     -- SHA-256 of the authentication code; null: none issued
    pending_hash  bytea,                     -- a code issued by a newer registration, not used yet
    registered_at timestamptz,
    authenticated_at timestamptz,
    last_address  text,                      -- of the last successful authentication
    connected_at  timestamptz,
    disconnected_at timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    note          text
);

-- One row a report. The key is what makes a retransmission harmless: terminal, device time and digest
-- of the body (without header, so the serial does not count).
CREATE TABLE locations (
    terminal_id  bigint NOT NULL,
    time         timestamptz NOT NULL,       -- device time, or time of reception where it is not believed
    digest       bigint NOT NULL,            -- xxh3-64 of the 0x0200 body
    received_at  timestamptz NOT NULL,
    alarm        integer NOT NULL,           -- alarm bits, the DWORD reinterpreted as signed
    status       integer NOT NULL,           -- status bits, the DWORD reinterpreted as signed
    latitude     integer NOT NULL,           -- 1e-6 degree, WGS-84, south negative
    longitude    integer NOT NULL,           -- 1e-6 degree, WGS-84, west negative
    altitude     smallint NOT NULL,          -- m
    speed        integer NOT NULL,           -- 0.1 km/h
    heading      smallint NOT NULL,          -- degree, clockwise from north
    flags        smallint NOT NULL,          -- storage/rows.py: edition, backfilled, time quality, …
    items        bytea NOT NULL,             -- the additional items, byte for byte
    raw          bytea,                      -- the whole body, where the columns can't hold it exactly
    PRIMARY KEY (terminal_id, time, digest)
) PARTITION BY RANGE (time);

-- Reports whose own time is not believed: under which time each was stored first.
CREATE TABLE misdated (
    terminal_id bigint NOT NULL,
    digest      bigint NOT NULL,
    time        timestamptz NOT NULL,
    PRIMARY KEY (terminal_id, digest)
);
CREATE INDEX misdated_time ON misdated (time);

CREATE TABLE alarms (
    id           uuid PRIMARY KEY,           -- made from the alarm's own identity: the same alarm, the same id
    terminal_id  bigint NOT NULL,
    phone        text NOT NULL,
    kind         text NOT NULL,
    family       text NOT NULL,
    level        smallint NOT NULL,
    state        text NOT NULL CHECK (state IN ('open', 'ended', 'momentary')),
    rev          integer NOT NULL,
    occurred_at  timestamptz NOT NULL,
    ended_at     timestamptz,
    end_reason   text,
    received_at  timestamptz NOT NULL,
    committed_at timestamptz NOT NULL DEFAULT now(),
    backfilled   boolean NOT NULL,
    latitude     integer NOT NULL,
    longitude    integer NOT NULL,
    altitude     integer NOT NULL,
    speed        integer NOT NULL,           -- 0.1 km/h
    source       text NOT NULL,              -- 'su:0x65', 'guangdong:0x64', '808:bit2', '1078:0x14' …
    code         integer NOT NULL,           -- type code or bit number, as sent
    pairing      text NOT NULL,              -- what an end must carry to close this alarm
    details      jsonb NOT NULL,
    raw          bytea NOT NULL,             -- the item, byte for byte
    attachments  smallint NOT NULL DEFAULT 0 -- evidence files that the terminal announced
);
-- Lists are read newest first with a keyset on (occurred_at, id): one direction for both columns.
CREATE INDEX alarms_time ON alarms (occurred_at, id);
CREATE INDEX alarms_phone ON alarms (phone, occurred_at, id);
CREATE INDEX alarms_kind ON alarms (kind, occurred_at, id);
CREATE INDEX alarms_open ON alarms (terminal_id) WHERE state = 'open';

-- The log. Order is (xid, seq); see ARCHITECTURE.md.
CREATE TABLE events (
    seq      bigint GENERATED ALWAYS AS IDENTITY,
    xid      xid8 NOT NULL DEFAULT pg_current_xact_id(),
    time     timestamptz NOT NULL DEFAULT now(),
    type     text NOT NULL,                  -- 'alarm.raised' …
    phone    text,
    kind     text, family text, level smallint,
    id       text NOT NULL,                  -- the same on every redelivery
    data     jsonb NOT NULL,
    PRIMARY KEY (xid, seq, time)
) PARTITION BY RANGE (time);

-- The newest key that retention has dropped: a cursor before it may have lost events and must be told.
CREATE TABLE event_floor (
    single       boolean PRIMARY KEY DEFAULT true CHECK (single),
    xid          xid8 NOT NULL,
    seq          bigint NOT NULL
);
INSERT INTO event_floor (xid, seq) VALUES ('0', 0);

-- What could not be taken in as it was meant, raw and with its reason.
CREATE TABLE rejected (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL DEFAULT now(),
    phone       text,
    message_id  integer,
    reason      text NOT NULL,
    detail      text,
    raw         bytea NOT NULL
);
CREATE INDEX rejected_time ON rejected (received_at);

CREATE TABLE api_keys (
    id          text PRIMARY KEY,            -- the public half of the key
    secret_hash bytea NOT NULL,
    name        text NOT NULL,
    scopes      text[] NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz,
    revoked_at  timestamptz,
    last_used_at timestamptz
);
