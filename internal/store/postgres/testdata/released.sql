
			WITH d AS (
				INSERT INTO deployments (id, service, environment, version, state, live, due) VALUES ($1, $2, $3, 1, $4, $5, $6)
				ON CONFLICT (id) DO NOTHING RETURNING n
			), s AS (INSERT INTO specs (deployment, spec) SELECT n, $7 FROM d)
			INSERT INTO statuses (deployment, status) SELECT n, $8 FROM d
;

		INSERT INTO documents (kind, key, version, data, updated, expires) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (kind, key) DO UPDATE SET version = excluded.version, data = excluded.data, updated = excluded.updated, expires = excluded.expires
;

		SELECT o.n, o.notifier, o.tries, f.fact FROM outbox o JOIN facts f ON f.n = o.fact
		WHERE o.dead ORDER BY o.n DESC LIMIT $1
;

		WITH selected AS (
			SELECT n, at, row_number() OVER (ORDER BY at, n) - 1 AS r, count(*) OVER () AS t
			FROM measurements WHERE deployment = $1 AND at >= $2 AND at <= $3 AND ($4 = '' OR name = $4)
		)
		SELECT measurement FROM selected JOIN measurements USING (n)
		WHERE t <= $5::bigint OR r = 0 OR r * ($5 - 1) / nullif(t - 1, 0) <> (r - 1) * ($5 - 1) / nullif(t - 1, 0)
		ORDER BY selected.at, n
;

		WITH selected AS (
			SELECT n, at, row_number() OVER (ORDER BY at, n) - 1 AS r, count(*) OVER () AS t
			FROM ticks WHERE deployment = $1 AND at >= $2 AND at <= $3 AND assessed AND $4 = ''
		)
		SELECT tick FROM selected JOIN ticks USING (n)
		WHERE t <= $5::bigint OR r = 0 OR r * ($5 - 1) / nullif(t - 1, 0) <> (r - 1) * ($5 - 1) / nullif(t - 1, 0)
		ORDER BY selected.at, n
;

DELETE FROM documents WHERE expires <= $1 AND ctid = ANY (ARRAY(
	SELECT ctid FROM documents WHERE expires <= $1 AND expires < 9223372036854775807 ORDER BY expires LIMIT $2
	FOR UPDATE SKIP LOCKED
))
;

INSERT INTO holds AS h (service, environment, identity, until, hold) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (service, environment, identity) DO UPDATE SET until = excluded.until, hold = excluded.hold
WHERE $7 OR h.until <= $6 OR h.until < excluded.until
;

INSERT INTO standings (service, environment, identity, standing, record) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (service, environment, identity) DO UPDATE SET n = excluded.n, standing = excluded.standing, record = excluded.record
;

SELECT
	(SELECT count(*) FROM slots WHERE at > $1),
	(SELECT count(DISTINCT service) FROM deployments WHERE environment = $2 AND bad_since > $3),
	coalesce((
		SELECT CASE WHEN reason = '' THEN actor ELSE actor || ': ' || reason END FROM stops
		WHERE ended IS NULL AND environment IN ('', $2) AND (service = '' OR service = (SELECT service FROM deployments WHERE id = $4))
		ORDER BY (service <> '')::int + (environment <> '')::int, service <> '' LIMIT 1
	), ''),
	coalesce((
		SELECT o.id FROM deployments d
		JOIN deployments o ON o.service = d.service AND o.environment = d.environment AND o.live
		WHERE d.id = $4 AND o.n <> d.n AND o.state IN ('rolling_back', 'verifying_rollback')
		ORDER BY o.n LIMIT 1
	), '')
;

SELECT d.id, d.version, d.fence, s.spec, t.status, coalesce(e.effect, ''), coalesce(c.command, ''), coalesce((
	SELECT w.id FROM deployments w
	WHERE w.service = d.service AND w.environment = d.environment AND w.live AND w.n > d.n
	ORDER BY w.n DESC LIMIT 1
), '')
FROM deployments d
JOIN specs s ON s.deployment = d.n
JOIN statuses t ON t.deployment = d.n
LEFT JOIN effects e ON e.deployment = d.n AND e.outcome IS NULL
LEFT JOIN LATERAL (SELECT command FROM commands WHERE deployment = d.n AND answered IS NULL ORDER BY n LIMIT 1) c ON true
WHERE d.n = ANY ($1::bigint[])
ORDER BY d.due, d.n
;

SELECT d.n, d.version, d.bad, d.service, d.environment, s.spec
FROM deployments d JOIN specs s ON s.deployment = d.n
WHERE d.id = $1 AND d.owner = $2 AND d.fence = $3 AND d.until > $4
FOR NO KEY UPDATE OF d
;

SELECT key, version, data, updated, expires FROM (
	SELECT *, sum(octet_length(data)) OVER (ORDER BY key ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before FROM (SELECT key, version, NULL::bytea AS data, updated, expires FROM documents WHERE kind = $1 AND expires > $2 AND key > $3 AND key >= $4 AND key <= $5 AND starts_with(key, $4) ORDER BY key LIMIT $6) page
) summed WHERE coalesce(before, 0) < $7 ORDER BY key
;

SELECT key, version, data, updated, expires FROM (
	SELECT *, sum(octet_length(data)) OVER (ORDER BY key ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before FROM (SELECT key, version, data, updated, expires FROM documents WHERE kind = $1 AND expires > $2 AND key > $3 ORDER BY key LIMIT $4) page
) summed WHERE coalesce(before, 0) < $5 ORDER BY key
;

SELECT pg_advisory_xact_lock($1, h) FROM (SELECT DISTINCT hashtext(k) AS h FROM unnest($2::text[]) k ORDER BY 1) ordered
;

UPDATE deployments SET
	version = $2, state = $3, live = $4,
	due = CASE WHEN EXISTS (SELECT 1 FROM commands WHERE deployment = $1 AND answered IS NULL) THEN least($5::bigint, $6::bigint) ELSE $5::bigint END,
	bad = $7, bad_since = CASE WHEN $7 AND NOT bad THEN $6::bigint ELSE bad_since END,
	owner = CASE WHEN $8 THEN '' ELSE owner END, until = CASE WHEN $8 THEN 0 ELSE until END
WHERE n = $1
;

UPDATE deployments SET owner = $3, fence = fence + 1, until = $4, ttl = $5
WHERE n = ANY (ARRAY(
	SELECT n FROM deployments
	WHERE live AND due <= $1 AND until <= $1
	ORDER BY due, n LIMIT $2
	FOR NO KEY UPDATE SKIP LOCKED
))
RETURNING n
;

UPDATE outbox o SET due = $3 FROM facts f
WHERE f.n = o.fact AND o.n = ANY (ARRAY(
	SELECT n FROM outbox WHERE due IS NOT NULL AND due <= $1 ORDER BY n LIMIT $2
	FOR NO KEY UPDATE SKIP LOCKED
))
RETURNING o.n, o.notifier, o.tries, f.fact
;

WITH f AS (
	INSERT INTO facts (id, deployment, service, environment, kind, fact) VALUES ($1, $2, $3, $4, $5, $6)
	ON CONFLICT (id) DO NOTHING RETURNING n
)
INSERT INTO outbox (fact, deployment, notifier, due)
SELECT f.n, $2, x.notifier, CASE
	WHEN EXISTS (SELECT 1 FROM outbox o WHERE o.deployment = $2 AND o.notifier = x.notifier AND NOT o.dead) THEN NULL
	ELSE $8::bigint END
FROM f, (SELECT DISTINCT unnest($7::text[]) AS notifier) x
;
DELETE FROM documents WHERE kind = $1 AND key = $2
;
DELETE FROM holds WHERE service = $1 AND environment = $2 AND identity = $3 AND until > $4
;
DELETE FROM outbox WHERE n = $1
;
DELETE FROM slots WHERE at <= $1
;
INSERT INTO audit (seq, at, actor, origin, action, resource, service, environment, outcome, reason, detail, prev, digest)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
;
INSERT INTO baselines (deployment, name, baseline) SELECT $1::bigint, * FROM unnest($2::text[], $3::text[]) ON CONFLICT DO NOTHING
;
INSERT INTO commands (id, deployment, command) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING
;
INSERT INTO effects (op_id, deployment, effect) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
;
INSERT INTO measurements (deployment, keep, at, name, measurement) SELECT $1::bigint, $2::boolean, * FROM unnest($3::bigint[], $4::text[], $5::text[])
;
INSERT INTO slots (at) SELECT $1::bigint WHERE (SELECT count(*) FROM slots) < $2
;
INSERT INTO stops (service, environment, actor, reason, at) VALUES ($1, $2, $3, $4, $5)
;
INSERT INTO ticks (deployment, seq, at, keep, assessed, tick) VALUES ($1, $2, $3, $4, $5, $6)
;
SELECT EXISTS (SELECT 1 FROM commands WHERE id = $1)
;
SELECT EXISTS (SELECT 1 FROM facts WHERE cursor IS NULL), coalesce((SELECT max(cursor) FROM facts), 0)
;
SELECT adg_now()
;
SELECT baseline FROM baselines WHERE deployment = $1 ORDER BY n LIMIT $2
;
SELECT count(*) FROM outbox WHERE deployment = $1 AND NOT dead
;
SELECT d.id, d.version, s.spec, t.status FROM deployments d JOIN specs s ON s.deployment = d.n JOIN statuses t ON t.deployment = d.n ORDER BY d.n DESC LIMIT $1
;
SELECT d.id, d.version, s.spec, t.status FROM deployments d JOIN specs s ON s.deployment = d.n JOIN statuses t ON t.deployment = d.n WHERE d.id = $1
;
SELECT d.n FROM facts f JOIN deployments d ON d.n = f.deployment WHERE f.id = $1 FOR NO KEY UPDATE OF d
;
SELECT effect, coalesce(outcome, '') FROM effects WHERE deployment = $1 ORDER BY n LIMIT $2
;
SELECT f.cursor, f.fact FROM facts f WHERE f.cursor > $1 AND f.cursor <= $2 AND f.kind = ANY ($3::text[]) ORDER BY f.cursor LIMIT $4
;
SELECT f.cursor, f.fact FROM facts f WHERE f.cursor > $1 AND f.cursor <= $2 AND f.service = $3 ORDER BY f.cursor LIMIT $4
;
SELECT f.cursor, f.fact FROM facts f WHERE f.cursor > $1 AND f.cursor <= $2 ORDER BY f.cursor LIMIT $3
;
SELECT fact FROM facts WHERE deployment = $1 ORDER BY n LIMIT $2
;
SELECT hold FROM holds WHERE service = $1 AND environment = $2 AND identity = $3 AND until > $4
;
SELECT hold FROM holds WHERE until > $1 ORDER BY service, environment, identity LIMIT $2
;
SELECT n FROM deployments WHERE id = $1
;
SELECT n FROM deployments d WHERE NOT live AND EXISTS (SELECT 1 FROM measurements WHERE deployment = d.n AND at < $1 AND NOT keep)
;
SELECT n FROM deployments d WHERE NOT live AND EXISTS (SELECT 1 FROM ticks WHERE deployment = d.n AND at < $1 AND NOT keep)
;
SELECT n, live FROM deployments WHERE id = $1 FOR NO KEY UPDATE
;
SELECT o.n FROM facts f JOIN outbox o ON o.fact = f.n WHERE f.id = $1 AND o.notifier = $2 AND NOT o.dead
;
SELECT pg_advisory_xact_lock($1, $2)
;
SELECT record FROM standings ORDER BY n DESC LIMIT $1
;
SELECT record FROM standings WHERE service = $1 AND environment = $2 AND identity = $3
;
SELECT record FROM standings WHERE service = $1 AND environment = $2 AND standing = 'good' ORDER BY n DESC LIMIT 1
;
SELECT seq, at, actor, origin, action, resource, service, environment, outcome, reason, detail, prev, digest FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2
;
SELECT seq, at, digest FROM audit ORDER BY seq DESC LIMIT 1
;
SELECT seq, tick FROM ticks WHERE deployment = $1 AND seq > $2  ORDER BY seq LIMIT $3
;
SELECT seq, tick FROM ticks WHERE deployment = $1 AND seq > $2 AND keep ORDER BY seq LIMIT $3
;
SELECT service, environment, actor, reason, at FROM stops WHERE ended IS NULL ORDER BY (service <> '')::int + (environment <> '')::int, service <> '', service, environment LIMIT $1
;
SELECT version FROM documents WHERE kind = $1 AND key = $2 AND expires > $3
;
SELECT version, data, updated, expires FROM documents WHERE kind = $1 AND key = $2 AND expires > $3
;
UPDATE commands SET answered = $1 WHERE id = $2 AND deployment = $3 AND answered IS NULL
;
UPDATE deployments SET bad_since = $1 WHERE bad_since > $1
;
UPDATE deployments SET due = $1 WHERE live AND due > $1::bigint + 3600000000000
;
UPDATE deployments SET due = $1 WHERE live AND service = $2 AND environment = $3 AND due > $1
;
UPDATE deployments SET due = $1 WHERE n = $2 AND due > $1
;
UPDATE deployments SET owner = '', until = 0 WHERE id = $1 AND owner = $2 AND fence = $3
;
UPDATE deployments SET until = $1, ttl = $2 WHERE id = $3 AND owner = $4 AND fence = $5 AND until > $6
;
UPDATE deployments SET until = $1::bigint + ttl WHERE live AND until > $1::bigint + ttl
;
UPDATE effects SET outcome = $1 WHERE op_id = $2 AND deployment = $3 AND outcome IS NULL
;
UPDATE outbox SET due = $1 WHERE due > $1::bigint + 3600000000000
;
UPDATE outbox SET due = $1 WHERE due IS NULL AND n =
		(SELECT n FROM outbox WHERE deployment = $2 AND notifier = $3 AND NOT dead ORDER BY n LIMIT 1)
;
UPDATE outbox SET due = $1, tries = tries + 1, why = $2 WHERE n = $3
;
UPDATE outbox SET due = NULL, dead = true, tries = tries + 1, why = $1 WHERE n = $2
;
UPDATE slots SET at = $1 WHERE at > $1
;
UPDATE statuses SET status = $1 WHERE deployment = $2
;
UPDATE stops SET ended = $3, ended_by = $4 WHERE service = $1 AND environment = $2 AND ended IS NULL