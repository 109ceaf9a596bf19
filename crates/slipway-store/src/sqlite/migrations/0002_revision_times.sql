-- Registered revisions (kind 4) by their times (CF-359). The only indexes that look into a body.
CREATE INDEX revisions_by_registration
    ON documents (place, parent, coalesce(json_extract(body, '$.registered'), 0), name) WHERE kind = 4;
CREATE INDEX revisions_by_first_use
    ON documents (place, parent, coalesce(json_extract(body, '$.first_used'), 0), name) WHERE kind = 4;
CREATE INDEX revisions_by_last_use
    ON documents (place, parent, coalesce(json_extract(body, '$.last_used'), 0), name) WHERE kind = 4;
