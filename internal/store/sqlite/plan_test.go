package sqlite

import (
	"database/sql"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

func TestNoQueryOfTheLoopScansATable(t *testing.T) {
	s := opened(t, fresh(t), Options{})
	exercise(t, s)
	var queries []string
	err := s.write(t.Context(), false, func(t *tx) error {
		for query := range t.prepared {
			queries = append(queries, query)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	queries = append(queries, fleetQuery)
	allowed := map[string]bool{
		"SCAN CONSTANT ROW": true,
		"SCAN d":            true, // what the first part of takeQuery has found
		"SCAN slots":        true, // one hour's rollbacks
	}
	judged := 0
	for _, query := range queries {
		for _, step := range planOf(t, s, query) {
			judged++
			if strings.HasPrefix(step, "SCAN ") && !allowed[step] && !slices.Contains(healing, query) {
				t.Errorf("%s\n\t%s", query, step)
			}
		}
	}
	for _, want := range []string{"stops_in_force", "deployments_due", "outbox_due", "deployments_bad", "deployments_live", "effects_open", "commands_waiting"} {
		if !strings.Contains(strings.Join(allPlans(t, s, takeQuery, undeliveredQuery, fleetQuery), "\n"), want) {
			t.Errorf("the index %s is not used", want)
		}
	}
	if judged < 40 {
		t.Fatalf("only %d steps were judged", judged)
	}
}

func TestPagesAreReadByTheirIndexes(t *testing.T) {
	s := opened(t, fresh(t), Options{})
	create(t, s, "d0", "s0")
	events := func(f adg.EventFilter) string {
		query, _, err := s.eventQuery(t.Context(), f, 9, 9)
		must(t, err)
		return query
	}
	audit := func(f adg.AuditFilter) string {
		query, _ := auditQuery(f)
		return query
	}
	deployments := func(f adg.DeploymentFilter) string {
		query, _, err := s.deploymentQuery(t.Context(), f)
		must(t, err)
		return query
	}
	for what, c := range map[string]struct{ query, index string }{
		"deployments of an actor":     {deployments(adg.DeploymentFilter{Actors: []string{"a"}}), "specs_actor (actor=?)"},
		"deployments of a version":    {deployments(adg.DeploymentFilter{Version: "v"}), "specs_release (release_version=?)"},
		"deployments since a time":    {deployments(adg.DeploymentFilter{From: time.Unix(1, 0)}), "specs_created (created>?)"},
		"deployments before a time":   {deployments(adg.DeploymentFilter{To: time.Unix(1, 0)}), "specs_created (created<?)"},
		"deployments of services":     {deployments(adg.DeploymentFilter{Services: []string{"s"}}), "deployments_service (service=?)"},
		"deployments in environments": {deployments(adg.DeploymentFilter{Environments: []string{"s"}}), "deployments_environment (environment=?)"},
		"live deployments":            {deployments(adg.DeploymentFilter{States: []adg.State{adg.Held}}), "deployments_live"},
		"deployments by id":           {deployments(adg.DeploymentFilter{IDs: []string{"a"}}), "sqlite_autoindex_deployments_1 (id=?)"},
		"versions":                    {versionsQuery, "deployments_live"},
	} {
		if plan := strings.Join(planOf(t, s, c.query), "\n"); !strings.Contains(plan, c.index) {
			t.Errorf("%s:\n%s", what, plan)
		}
	}
	inOrder := map[string]struct{ query, index string }{
		"documents":                {documentsQuery(false), "sqlite_autoindex_documents_1 (kind=? AND key>? AND key<?)"},
		"bare documents":           {documentsQuery(true), "sqlite_autoindex_documents_1 (kind=? AND key>? AND key<?)"},
		"expired documents":        {purgeQuery, "documents_expires (expires<?)"},
		"events":                   {events(adg.EventFilter{After: 1}), "PRIMARY KEY (rowid>? AND rowid<?)"},
		"events of a deployment":   {events(adg.EventFilter{Deployment: "d0"}), "facts_deployment (deployment=? AND n>? AND n<?)"},
		"events of a service":      {events(adg.EventFilter{Service: "s"}), "facts_service (service=? AND n>? AND n<?)"},
		"events of an environment": {events(adg.EventFilter{Environment: "e"}), "facts_environment (environment=? AND n>? AND n<?)"},
		"events of a service's":    {events(adg.EventFilter{Deployment: "d0", Service: "s", Environment: "e"}), "facts_deployment (deployment=? AND n>? AND n<?)"},
		"events of a place":        {events(adg.EventFilter{Service: "s", Environment: "e", Kinds: []adg.FactKind{adg.FactPage}}), "facts_service (service=? AND n>? AND n<?)"},
		"events of a kind":         {events(adg.EventFilter{Kinds: []adg.FactKind{adg.FactPage}}), "PRIMARY KEY (rowid>? AND rowid<?)"},
		"the newest events":        {events(adg.EventFilter{Newest: true}), "PRIMARY KEY (rowid<?)"},
		"the newest of a service":  {events(adg.EventFilter{Newest: true, Service: "s"}), "facts_service (service=? AND n<?)"},
		"the newest of a place":    {events(adg.EventFilter{Newest: true, Service: "s", Environment: "e"}), "facts_service (service=? AND n<?)"},
		"entries":                  {audit(adg.AuditFilter{After: 1}), "PRIMARY KEY (rowid>?)"},
		"the newest entries":       {audit(adg.AuditFilter{Newest: true, After: 1}), "PRIMARY KEY (rowid<?)"},
		"entries of an actor":      {audit(adg.AuditFilter{Actor: "a"}), "audit_actor (actor=? AND seq>?)"},
		"entries of an action":     {audit(adg.AuditFilter{Action: "a"}), "audit_action (action=? AND seq>?)"},
		"entries of a resource":    {audit(adg.AuditFilter{Resource: "a"}), "audit_resource (resource=? AND seq>?)"},
		"entries of a service":     {audit(adg.AuditFilter{Service: "a"}), "audit_service (service=? AND seq>?)"},
		"entries of a place":       {audit(adg.AuditFilter{Environment: "a", Newest: true, After: 9}), "audit_environment (environment=? AND seq<?)"},
	}
	for what, c := range inOrder {
		plan := strings.Join(planOf(t, s, c.query), "\n")
		if !strings.Contains(plan, c.index) || strings.Contains(plan, "TEMP B-TREE") || strings.Contains(plan, "SCAN") {
			t.Errorf("%s:\n%s", what, plan)
		}
	}
}

func TestHousekeepingReadsNoHistoryThatStays(t *testing.T) {
	s := opened(t, fresh(t), Options{})
	dead := func(f adg.DeadFilter) string {
		query, _ := deadQuery(f)
		return query
	}
	queries := slices.Concat([]string{
		backlogQuery, versionsQuery, agedDeadQuery, agedFactsQuery, agedDeploymentsQuery, dead(adg.DeadFilter{}), dead(adg.DeadFilter{Notifier: "n"}), dead(adg.DeadFilter{Fact: "f"}),
		"DELETE FROM outbox WHERE n = ? AND dead = 1", "DELETE FROM facts WHERE n = ?",
	}, forgetQueries)
	for _, table := range evidence {
		queries = append(queries, forgetEvidenceQuery(table))
	}
	// What refers to a row that goes is looked for by SQLite itself, with these.
	for _, table := range row.Tables {
		keys, err := s.reads.QueryContext(t.Context(), `SELECT 'SELECT 1 FROM ' || ?1 || ' WHERE "' || "from" || '" = ?' FROM pragma_foreign_key_list(?1)`, table.Name)
		must(t, err)
		must(t, scanAll(keys, func(rows *sql.Rows) error {
			var query string
			err := rows.Scan(&query)
			queries = append(queries, query)
			return err
		}))
	}
	judged := 0
	for _, query := range queries {
		for _, step := range planOf(t, s, query) {
			judged++
			_, index, _ := strings.Cut(step, " INDEX ")
			// These hold what lives, what waits and what was given up.
			few := slices.Contains([]string{"deployments_due", "deployments_live", "outbox_queue", "outbox_dead"}, index)
			if strings.HasPrefix(step, "SCAN ") && !few && !newestHundred(step) {
				t.Errorf("%s\n\t%s", query, step)
			}
		}
	}
	if judged < 50 {
		t.Fatalf("only %d steps were judged", judged)
	}
}

// newestHundred tells whether a step reads the newest deployments, of which there is a limit, or what was read of them.
func newestHundred(step string) bool {
	return step == "SCAN deployments" || step == "SCAN (subquery-2)" || step == "SCAN CONSTANT ROW"
}

func TestPlacesAreJumpedTo(t *testing.T) {
	s := opened(t, fresh(t), Options{})
	create(t, s, "d0", "s0")
	plan := strings.Join(planOf(t, s, placeQuery), "\n")
	for _, index := range []string{"deployments_service (service=? AND environment>?)", "deployments_service (service>?)"} {
		if !strings.Contains(plan, index) {
			t.Errorf("%s is not used:\n%s", index, plan)
		}
	}
	if strings.Contains(plan, "TEMP B-TREE") || strings.Contains(plan, "SCAN deployments") {
		t.Error(plan)
	}
}

func TestWorkCostsTheSameAfterALongHistory(t *testing.T) {
	short, long := opened(t, fresh(t), Options{}), opened(t, fresh(t), Options{})
	err := long.write(t.Context(), false, func(t *tx) error {
		for _, query := range []string{
			`WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 3000)
			INSERT INTO deployments (id, service, environment, version, state, live, due, bad_since) SELECT 'old-' || i, 's0', 'bench', 5, 'succeeded', 0, i, i FROM c`,
			"INSERT INTO specs SELECT n, '{}' FROM deployments",
			"INSERT INTO statuses SELECT n, '{}' FROM deployments",
			"INSERT INTO commands (id, deployment, command, answered) SELECT id, n, '{}', 2 FROM deployments",
			"INSERT INTO effects (op_id, deployment, effect, outcome) SELECT id, n, '{}', '{}' FROM deployments",
			"INSERT INTO facts (id, deployment, fact) SELECT id, n, '{}' FROM deployments",
			"INSERT INTO outbox (fact, deployment, notifier, dead) SELECT n, n, 'chat', 1 FROM deployments",
		} {
			if _, err := t.exec(query); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]func(*Store) func(){
		"take": func(s *Store) func() {
			return func() { must(t, s.GiveBack(t.Context(), takeAll(t, s, 1)[0].Lease)) }
		},
		"commit": func(s *Store) func() {
			w := takeAll(t, s, 1)[0]
			return func() { must(t, commitTo(t, s, &w, plain(w))) }
		},
		"fleet": func(s *Store) func() {
			return func() {
				if f, err := s.Fleet(t.Context(), "bench", "d0"); err != nil || f.TurnedBad != 0 {
					t.Fatal(f, err)
				}
			}
		},
		"undelivered": func(s *Store) func() {
			return func() {
				if all, err := s.Undelivered(t.Context(), "teller", time.Minute, 10); err != nil || len(all) != 0 {
					t.Fatal(all, err)
				}
			}
		},
	}
	create(t, short, "d0", "s0")
	create(t, long, "d0", "s0")
	for _, name := range []string{"take", "fleet", "undelivered", "commit"} {
		before, after := fastest(parts[name](short), parts[name](long))
		t.Logf("%s takes %s, and %s after a long history", name, before, after)
		if after > 4*before {
			t.Errorf("%s takes %s, and %s after a long history", name, before, after)
		}
	}
}

// fastest is how long two take at best. They take turns, so that what else a machine does slows both of them.
func fastest(one, other func()) (first, second time.Duration) {
	first, second = time.Hour, time.Hour
	for range 50 {
		begin := time.Now()
		one()
		between := time.Now()
		other()
		first, second = min(first, between.Sub(begin)), min(second, time.Since(between))
	}
	return first, second
}

// exercise uses everything that the writer can do.
func exercise(t *testing.T, s *Store) {
	t.Helper()
	ctx := t.Context()
	create(t, s, "d0", "s0")
	must(t, s.Ask(ctx, adg.Command{ID: "c0", Deployment: "d0", Kind: adg.CommandHold}))
	w := takeAll(t, s, 1)[0]
	lease, err := s.Renew(ctx, w.Lease, time.Minute)
	must(t, err)
	tick := eventful(w, "d0/1")
	tick.Lease, tick.Input.Command = lease, &adg.Command{ID: "c0"}
	w.Deployment, err = s.Commit(ctx, tick)
	must(t, err)
	tick = plain(w)
	tick.Input.Outcome = &adg.Outcome{OpID: "d0/1"}
	tick.Decision.Next.Health = adg.Unhealthy
	_, err = s.Commit(ctx, tick)
	must(t, err)
	must(t, s.GiveBack(ctx, lease))
	for _, do := range []func(adg.Delivery) error{
		func(d adg.Delivery) error { return s.Postpone(ctx, d, time.Now().Add(-time.Second), "no") },
		func(d adg.Delivery) error { return s.Abandon(ctx, d, "no") },
		func(d adg.Delivery) error { return s.Delivered(ctx, d) },
	} {
		all, err := s.Undelivered(ctx, "teller", time.Minute, 1)
		must(t, err)
		if len(all) == 0 {
			t.Fatal("nothing to deliver")
		}
		must(t, do(all[0]))
	}
	must(t, s.StopLine(ctx, adg.Stop{Actor: "a", Reason: "b"}))
	must(t, s.ResumeLine(ctx, adg.Scope{}, "a"))
	must(t, s.LiftHold(ctx, "s0", "bench", "v2"))
	_, err = s.WriteDocuments(ctx, []adg.Write{{Document: adg.Document{Kind: "k", Key: "a"}}, {Document: adg.Document{Kind: "k", Key: "b"}, Drop: true}}, adg.AuditEntry{})
	must(t, err)
	_, err = s.Purge(ctx, 10)
	must(t, err)
	_, err = s.Compact(ctx, time.Now())
	must(t, err)
}

func allPlans(t *testing.T, s *Store, queries ...string) (all []string) {
	t.Helper()
	for _, query := range queries {
		all = append(all, planOf(t, s, query)...)
	}
	return all
}

// planOf is how SQLite would run a query.
func planOf(t *testing.T, s *Store, query string) (steps []string) {
	t.Helper()
	if first, _, _ := strings.Cut(query, " "); first == "BEGIN" || first == "COMMIT" || first == "SAVEPOINT" || first == "RELEASE" || first == "ROLLBACK" {
		return nil
	}
	rows, err := s.reads.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, make([]any, strings.Count(query, "?"))...)
	if err != nil {
		rows, err = s.reads.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, make([]any, 7)...)
	}
	must(t, err)
	must(t, scanAll(rows, func(rows *sql.Rows) error {
		var id, parent, unused int
		var step string
		err := rows.Scan(&id, &parent, &unused, &step)
		steps = append(steps, step)
		return err
	}))
	return steps
}
