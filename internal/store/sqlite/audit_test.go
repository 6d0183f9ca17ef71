package sqlite

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/deployguardian/adg"
)

func TestAuditLogRefusesEveryStatementButAppending(t *testing.T) {
	dir := fresh(t)
	s := opened(t, dir, Options{})
	_, err := s.AppendAudit(t.Context(), adg.AuditEntry{Actor: "alice", Action: "one"}, adg.AuditEntry{Actor: "bob", Action: "two"})
	must(t, err)
	other := second(t, dir)
	const values = " (seq, at, actor, address, action, resource, service, environment, outcome, reason, detail, prev, digest) SELECT %, at, 'mallory', address, action, resource, service, environment, outcome, reason, detail, prev, digest FROM audit WHERE seq = 2"
	for _, query := range []string{
		"UPDATE audit SET actor = 'mallory' WHERE seq = 1",
		"UPDATE OR REPLACE audit SET seq = 1 WHERE seq = 2",
		"DELETE FROM audit WHERE seq = 2",
		"DELETE FROM audit",
		"INSERT OR REPLACE INTO audit" + strings.ReplaceAll(values, "%", "2"),
		"REPLACE INTO audit" + strings.ReplaceAll(values, "%", "1"),
		"INSERT INTO audit" + strings.ReplaceAll(values, "%", "4"),
		"INSERT INTO audit" + strings.ReplaceAll(values, "%", "0"),
		"INSERT INTO audit" + strings.ReplaceAll(values, "%", "NULL"),
		"INSERT INTO audit" + strings.ReplaceAll(values, "%", "2") + " ON CONFLICT (seq) DO UPDATE SET actor = excluded.actor",
	} {
		if _, err := other.ExecContext(t.Context(), query); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", query, err)
		}
	}
	if all, err := s.Audit(t.Context(), adg.AuditFilter{}); err != nil || len(all) != 2 || adg.VerifyAudit(0, "", all) != nil {
		t.Errorf("on record: %+v, %v", all, err)
	}
}

func TestTamperedAuditEntryIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		queries []string
		says    string
	}{
		"an actor":            {[]string{"UPDATE audit SET actor = 'mallory' WHERE seq = 3"}, "audit entry 3 was changed"},
		"an address":          {[]string{"UPDATE audit SET address = '' WHERE seq = 3"}, "audit entry 3 was changed"},
		"an action":           {[]string{"UPDATE audit SET action = 'x' WHERE seq = 3"}, "audit entry 3 was changed"},
		"a resource":          {[]string{"UPDATE audit SET resource = 'x' WHERE seq = 3"}, "audit entry 3 was changed"},
		"a service":           {[]string{"UPDATE audit SET service = 'x' WHERE seq = 3"}, "audit entry 3 was changed"},
		"an environment":      {[]string{"UPDATE audit SET environment = 'x' WHERE seq = 3"}, "audit entry 3 was changed"},
		"an outcome":          {[]string{"UPDATE audit SET outcome = 'done' WHERE seq = 3"}, "audit entry 3 was changed"},
		"a reason":            {[]string{"UPDATE audit SET reason = '' WHERE seq = 3"}, "audit entry 3 was changed"},
		"a detail":            {[]string{`UPDATE audit SET detail = '{"a":"c"}' WHERE seq = 3`}, "audit entry 3 was changed"},
		"a time":              {[]string{"UPDATE audit SET at = at - 1000000000 WHERE seq = 3"}, "audit entry 3 was changed"},
		"a digest":            {[]string{"UPDATE audit SET digest = (SELECT digest FROM audit WHERE seq = 2) WHERE seq = 3"}, "audit entry 3 was changed"},
		"the first entry":     {[]string{"UPDATE audit SET reason = '' WHERE seq = 1"}, "audit entry 1 was changed"},
		"one that is missing": {[]string{"DELETE FROM audit WHERE seq = 3"}, "audit entry 3 is missing"},
		"the others moved up": {[]string{"DELETE FROM audit WHERE seq = 3", "UPDATE audit SET seq = seq - 1 WHERE seq > 3"}, "audit entry 3 does not follow"},
		"two that changed places": {[]string{
			"UPDATE audit SET seq = 77 WHERE seq = 3", "UPDATE audit SET seq = 3 WHERE seq = 4", "UPDATE audit SET seq = 4 WHERE seq = 77",
		}, "audit entry 3 does not follow"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := fresh(t)
			s := opened(t, dir, Options{})
			e := adg.AuditEntry{
				Actor: "alice", From: "192.0.2.1", Action: "policy.put", Resource: "policy/shop", Service: "shop", Environment: "production",
				Outcome: adg.AuditDenied, Reason: "no", Detail: map[string]string{"a": "b"},
			}
			_, err := s.AppendAudit(t.Context(), e, e, e, e, e)
			must(t, err)
			all, err := s.Audit(t.Context(), adg.AuditFilter{})
			must(t, err)
			must(t, adg.VerifyAudit(0, "", all))
			other := second(t, dir)
			for _, query := range append([]string{"DROP TRIGGER audit_unchanged", "DROP TRIGGER audit_kept"}, c.queries...) {
				_, err := other.ExecContext(t.Context(), query)
				must(t, err)
			}
			all, err = s.Audit(t.Context(), adg.AuditFilter{})
			must(t, err)
			if err := adg.VerifyAudit(0, "", all); adg.CodeOf(err) != adg.Conflict || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

// second is a connection of somebody else, who may write.
func second(t *testing.T, dir string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", dsn(filepath.Join(dir, databaseName), "rw", "busy_timeout(5000)"))
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	must(t, db.PingContext(context.WithoutCancel(t.Context())))
	return db
}
