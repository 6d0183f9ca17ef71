package postgres

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/postgres/pgtest"
)

func TestNoQueryOfTheLoopReadsAWholeTable(t *testing.T) {
	dsn := fresh(t)
	s := opened(t, dsn)
	pgtest.Exec(t, dsn, filling...)
	pgtest.Exec(t, dsn, "INSERT INTO starts SELECT id, n FROM deployments", "ANALYZE starts")
	conn, err := s.pool.Acquire(t.Context())
	must(t, err)
	defer conn.Release()
	judged := 0
	page := func(f adg.DeploymentFilter) string {
		query, _ := deploymentQuery(f, 0)
		return query
	}
	dead := func(f adg.DeadFilter) string {
		query, _ := deadQuery(f)
		return query
	}
	events := func(f adg.EventFilter) string {
		query, _ := eventQuery(f, 0, 0, 0)
		return query
	}
	queries := map[string]planned{
		"taking what is due":        {takeQuery, []string{"deployments_due", "deployments_pkey"}},
		"reading what was taken":    {workQuery, []string{"deployments_pkey", "effects_open", "commands_waiting", "deployments_live"}},
		"finding what is held":      {holdQuery, []string{"deployments_id_key"}},
		"reading specs":             {specsQuery, []string{"deployments_id_key", "specs_pkey"}},
		"storing a status":          {statusQuery, []string{"deployments_pkey", "commands_waiting"}},
		"storing a fact":            {factQuery, []string{"outbox_queue"}},
		"locking no deployment":     {"SELECT n, deployment FROM facts WHERE id = $1", []string{"facts_id_key"}},
		"finding a delivery":        {"SELECT n FROM outbox WHERE fact = $1 AND notifier = $2 AND NOT dead", []string{"outbox_fact_notifier_key"}},
		"finding what is untold":    {undeliveredQuery, []string{"outbox_heads", "outbox_pkey", "facts_pkey"}},
		"looking at the fleet":      {fleetQuery, []string{"deployments_bad", "deployments_live"}},
		"giving cursors to facts":   {cursorsQuery, []string{"facts_new", "facts_pkey"}},
		"reading the last event":    {"SELECT max(cursor) FROM facts", []string{"facts_events"}},
		"reading events":            {events(adg.EventFilter{}), []string{"facts_events"}},
		"reading a place's events":  {events(adg.EventFilter{Service: "s", Environment: "e"}), []string{"Merge Append", "facts_of_all_services", "facts_of_all_environments"}},
		"reading a place's newest":  {events(adg.EventFilter{Service: "s", Environment: "e", Newest: true}), []string{"Merge Append", "facts_of_all_services", "facts_of_all_environments"}},
		"reading a service's":       {events(adg.EventFilter{Service: "s"}), []string{"facts_of_all_services"}},
		"reading an environment's":  {events(adg.EventFilter{Environment: "e"}), []string{"facts_of_all_environments"}},
		"listing an actor":          {page(adg.DeploymentFilter{Actors: []string{"a"}}), []string{"specs_actor"}},
		"listing a version":         {page(adg.DeploymentFilter{Version: "v"}), []string{"specs_release"}},
		"listing a time":            {page(adg.DeploymentFilter{From: time.Unix(1, 0), To: time.Unix(2, 0)}), []string{"specs_created"}},
		"finding what a key began":  {page(adg.DeploymentFilter{Key: "k"}), []string{"starts_pkey", "deployments_pkey"}},
		"finding what has changed":  {"SELECT id, version FROM deployments WHERE id = ANY ($1::text[])", []string{"deployments_id_key"}},
		"finding what lives":        {versionsQuery, []string{"deployments_live", "deployments_pkey"}},
		"going from place to place": {placesQuery, []string{"deployments_service"}},
		"purging documents":         {purgeQuery, []string{"documents_expires", "Tid Scan"}},
		"counting what waits":       {backlogQuery, []string{"deployments_due", "deployments_live", "outbox_queue", "facts_pkey"}},
		"listing the dead":          {dead(adg.DeadFilter{}), []string{"facts_pkey"}},
		"listing a notifier's dead": {dead(adg.DeadFilter{Notifier: "chat"}), []string{"facts_pkey"}},
		"listing a fact's dead":     {dead(adg.DeadFilter{Fact: "f"}), []string{"facts_id_key", "outbox_fact_notifier_key"}},
		"looking for old dead":      {agedDeadQuery, []string{"facts_pkey"}},
		"looking for old facts":     {agedFactsQuery, []string{"facts_pkey", "facts_events", "deployments_pkey", "outbox_fact_notifier_key"}},
		"looking for the old":       {agedDeploymentsQuery, []string{"deployments_pkey", "specs_pkey", "statuses_pkey", "facts_deployment"}},
		"forgetting the dead":       {"DELETE FROM outbox WHERE n = ANY ($1) AND dead", []string{"outbox_dead"}},
		"forgetting facts":          {"DELETE FROM facts WHERE n = ANY ($1)", []string{"facts_pkey"}},
	}
	for _, table := range evidence {
		queries["forgetting "+table] = planned{forgetEvidenceQuery(table), []string{table + "_deployment", table + "_pkey"}}
	}
	for _, query := range forgetQueries {
		queries[query] = planned{query: query}
	}
	// What refers to a row that goes is looked for by the database itself, with these.
	for _, reference := range references(t, dsn) {
		queries[reference] = planned{query: reference}
	}
	for name, c := range queries {
		t.Run(name, func(t *testing.T) {
			plan := explained(t, conn, c.query)
			text := strings.Join(plan, "\n")
			if sorts := strings.Count(text, "Sort Key"); strings.Contains(name, " place's ") && sorts > 1 {
				t.Errorf("not only the page that was put together is sorted:\n%s", text)
			}
			for _, line := range plan {
				judged++
				// Of small tables, and of the rows of an hour, all are read; and what was given up is counted.
				if strings.Contains(line, "Seq Scan") && !strings.Contains(line, "on slots") && !strings.Contains(line, "on stops") && !strings.Contains(line, "on outbox outbox_2") {
					t.Errorf("%s\n%s", line, text)
				}
			}
			for _, index := range c.by {
				if !strings.Contains(text, index) {
					t.Errorf("the index %s is not used:\n%s", index, text)
				}
			}
		})
	}
	if judged < 40 {
		t.Errorf("only %d steps were judged", judged)
	}
}

// explained is how PostgreSQL would run a query.
func explained(t *testing.T, conn *pgxpool.Conn, query string) (plan []string) {
	t.Helper()
	for _, statement := range explaining(query) {
		rows, err := conn.Query(t.Context(), statement)
		must(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		must(t, err)
		plan = append(plan, lines...)
	}
	return plan
}

// planned is a query and the indexes that make it quick.
type planned struct {
	query string
	by    []string
}

// references are the queries with which the database makes sure that nothing refers to what is deleted.
func references(t *testing.T, dsn string) (queries []string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	must(t, err)
	defer func() { must(t, conn.Close(t.Context())) }()
	rows, err := conn.Query(t.Context(), `SELECT format('SELECT 1 FROM ONLY %s WHERE $1 = %I FOR KEY SHARE', c.conrelid::regclass, a.attname)
		FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] WHERE c.contype = 'f'`)
	must(t, err)
	queries, err = pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	if len(queries) < 6 {
		t.Fatalf("only %d references were found", len(queries))
	}
	return queries
}

// explaining asks for the plan that is made once and serves for all values.
func explaining(query string) []string {
	values := 0
	for regexp.MustCompile(fmt.Sprintf(`\$%d\b`, values+1)).MatchString(query) {
		values++
	}
	arguments := ""
	if values > 0 {
		arguments = "(" + strings.TrimSuffix(strings.Repeat("NULL,", values), ",") + ")"
	}
	return []string{"SET plan_cache_mode = force_generic_plan", "PREPARE p AS " + query, "EXPLAIN EXECUTE p" + arguments, "DEALLOCATE p"}
}

// filling is a long history, as the first version kept it.
var filling = []string{
	`INSERT INTO deployments (id, service, environment, version, state, live, due, bad_since)
		SELECT 'old-' || i, 's' || i % 50, 'bench', 5, CASE WHEN i % 50 = 0 THEN 'rolling' ELSE 'succeeded' END, i % 50 = 0, i, i FROM generate_series(1, 20000) i`,
	`INSERT INTO specs SELECT n, format('{"actor": "a%s", "release": {"version": "v%s"}, "created": "2026-01-01T00:%s:%sZ"}', n, n, lpad((n / 60 % 60)::text, 2, '0'), lpad((n % 60)::text, 2, '0')) FROM deployments`,
	"INSERT INTO statuses SELECT n, '{}' FROM deployments",
	"INSERT INTO commands (id, deployment, command, answered) SELECT id, n, '{}', CASE WHEN n % 1000 > 0 THEN 2 END FROM deployments",
	"INSERT INTO effects (op_id, deployment, effect, outcome) SELECT id, n, '{}', CASE WHEN n % 1000 > 0 THEN '{}' END FROM deployments",
	"INSERT INTO facts (id, deployment, service, environment, kind, fact, cursor) SELECT id, n, service, environment, 'page', '{}', CASE WHEN n % 1000 > 0 THEN n END FROM deployments",
	"INSERT INTO outbox (fact, deployment, notifier, dead, due) SELECT n, n, 'chat', n % 100 > 0, CASE WHEN n % 100 = 0 THEN n END FROM facts",
	"INSERT INTO ticks (deployment, seq, at, keep, assessed, tick) SELECT n, 2, n, true, true, '{}' FROM deployments",
	"INSERT INTO measurements (deployment, at, keep, name, measurement) SELECT n, n, true, 'errors', '{}' FROM deployments",
	"INSERT INTO baselines (deployment, name, baseline) SELECT n, 'errors', '{}' FROM deployments",
	"INSERT INTO documents SELECT 'policy', 'p' || i, 1, '', 1, CASE WHEN i % 20 = 0 THEN i ELSE 9223372036854775807 END FROM generate_series(1, 20000) i",
	"ANALYZE",
}
