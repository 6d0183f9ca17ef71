package postgres

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/deployguardian/adg/internal/store/postgres/pgtest"
)

func TestNoQueryOfTheLoopReadsAWholeTable(t *testing.T) {
	dsn := fresh(t)
	s := opened(t, dsn)
	pgtest.Exec(t, dsn, filling...)
	conn, err := s.pool.Acquire(t.Context())
	must(t, err)
	defer conn.Release()
	judged := 0
	for name, c := range map[string]struct {
		query string
		by    []string // the indexes that make it quick
	}{
		"taking what is due":      {takeQuery, []string{"deployments_due", "deployments_pkey"}},
		"reading what was taken":  {workQuery, []string{"deployments_pkey", "effects_open", "commands_waiting", "deployments_live"}},
		"finding what is held":    {holdQuery, []string{"deployments_id_key", "specs_pkey"}},
		"storing a status":        {statusQuery, []string{"deployments_pkey", "commands_waiting"}},
		"storing a fact":          {factQuery, []string{"outbox_queue"}},
		"finding what is untold":  {undeliveredQuery, []string{"outbox_heads", "outbox_pkey", "facts_pkey"}},
		"looking at the fleet":    {fleetQuery, []string{"deployments_bad", "deployments_live"}},
		"giving cursors to facts": {cursorsQuery, []string{"facts_new", "facts_pkey"}},
		"reading the last event":  {"SELECT max(cursor) FROM facts", []string{"facts_events"}},
		"reading events":          {"SELECT fact FROM facts WHERE cursor > $1 AND cursor <= $2 ORDER BY cursor LIMIT $3", []string{"facts_events"}},
		"purging documents":       {purgeQuery, []string{"documents_expires", "Tid Scan"}},
	} {
		t.Run(name, func(t *testing.T) {
			var plan []string
			for _, statement := range explaining(c.query) {
				rows, err := conn.Query(t.Context(), statement)
				must(t, err)
				for rows.Next() {
					line := ""
					must(t, rows.Scan(&line))
					plan = append(plan, line)
				}
				must(t, rows.Err())
			}
			text := strings.Join(plan, "\n")
			for _, line := range plan {
				judged++
				// Of small tables, and of the rows of an hour, all are read.
				if strings.Contains(line, "Seq Scan") && !strings.Contains(line, "on slots") && !strings.Contains(line, "on stops") {
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

// filling is a long history.
var filling = []string{
	`INSERT INTO deployments (id, service, environment, version, state, live, due, bad_since)
		SELECT 'old-' || i, 's' || i % 50, 'bench', 5, CASE WHEN i % 50 = 0 THEN 'rolling' ELSE 'succeeded' END, i % 50 = 0, i, i FROM generate_series(1, 20000) i`,
	"INSERT INTO specs SELECT n, '{}' FROM deployments",
	"INSERT INTO statuses SELECT n, '{}' FROM deployments",
	"INSERT INTO commands (id, deployment, command, answered) SELECT id, n, '{}', CASE WHEN n % 1000 > 0 THEN 2 END FROM deployments",
	"INSERT INTO effects (op_id, deployment, effect, outcome) SELECT id, n, '{}', CASE WHEN n % 1000 > 0 THEN '{}' END FROM deployments",
	"INSERT INTO facts (id, deployment, service, environment, kind, fact, cursor) SELECT id, n, service, environment, 'page', '{}', CASE WHEN n % 1000 > 0 THEN n END FROM deployments",
	"INSERT INTO outbox (fact, deployment, notifier, dead, due) SELECT n, n, 'chat', n % 100 > 0, CASE WHEN n % 100 = 0 THEN n END FROM facts",
	"INSERT INTO documents SELECT 'policy', 'p' || i, 1, '', 1, CASE WHEN i % 20 = 0 THEN i ELSE 9223372036854775807 END FROM generate_series(1, 20000) i",
	"ANALYZE",
}
