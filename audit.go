package adg

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
)

// AuditEntry is one line of the audit log: who did what, to what, why, from where, and how it ended. Each holds the
// digest of the one before, so that a line that was changed, taken out or put in between is found (VerifyAudit).
type AuditEntry struct {
	Seq         int64             `json:"seq"` // from 1, without gaps; the store's
	At          time.Time         `json:"at"`  // the store's clock
	Actor       string            `json:"actor"`
	From        string            `json:"from,omitempty"` // the address that the request came from
	Action      string            `json:"action"`         // such as "policy.put"
	Resource    string            `json:"resource"`       // such as "policy/checkout/production"
	Service     string            `json:"service,omitempty"`
	Environment string            `json:"environment,omitempty"`
	Outcome     AuditOutcome      `json:"outcome"`
	Reason      string            `json:"reason,omitempty"` // what the actor said, or why it was refused or failed
	Detail      map[string]string `json:"detail,omitempty"` // never a secret
	Prev        string            `json:"prev"`             // Digest of the entry before; of the first: empty
	Digest      string            `json:"digest"`           // SHA-256 of all the above, in hexadecimal
}

// AuditOutcome is how an audited action ended.
type AuditOutcome uint8

// The outcomes. An action is on record together with what it changes, or before it is done; one that then fails gets an
// entry that says so.
const (
	AuditUnknown AuditOutcome = iota
	AuditDone
	AuditDenied
	AuditFailed
)

var auditOutcomeNames = []string{"unknown", "done", "denied", "failed"}

// String is the outcome's name.
func (o AuditOutcome) String() string { return enumText(o, auditOutcomeNames) }

// MarshalText writes the name.
func (o AuditOutcome) MarshalText() ([]byte, error) {
	return marshalEnum(o, "audit outcome", auditOutcomeNames)
}

// UnmarshalText reads a name.
func (o *AuditOutcome) UnmarshalText(text []byte) error {
	return unmarshalEnum(o, "audit outcome", auditOutcomeNames, text)
}

// Chained is the entry as it follows one with that digest: Seq and At are set before. At is cut to microseconds and
// UTC, so that every store gives back what was digested.
func (e AuditEntry) Chained(prev string) AuditEntry {
	e.At, e.Prev, e.Digest = e.At.UTC().Truncate(time.Microsecond), prev, ""
	text, err := json.Marshal(e)
	if err != nil {
		panic("adg: an audit entry has no JSON: " + err.Error()) // strings, numbers and a time always have
	}
	sum := sha256.Sum256(text)
	e.Digest = hex.EncodeToString(sum[:])
	return e
}

// VerifyAudit checks entries that follow each other, of which the first follows one with the number seq and that digest
// (0 and "" at the beginning of the log). It is nil, or a Conflict that names the first entry that is not as it was
// written. Entries cut off at the end are found by comparing with a digest that was noted elsewhere.
func VerifyAudit(seq int64, prev string, entries []AuditEntry) error {
	for _, e := range entries {
		seq++
		switch want := e.Chained(e.Prev); {
		case e.Seq != seq:
			return Errorf(Conflict, "audit entry %d is missing: %d is in its place", seq, e.Seq)
		case e.Prev != prev:
			return Errorf(Conflict, "audit entry %d does not follow the one before it: one of the two was changed", e.Seq)
		case e.Digest != want.Digest:
			return Errorf(Conflict, "audit entry %d was changed after it was written", e.Seq)
		}
		prev = e.Digest
	}
	return nil
}

// AuditFilter selects audit entries, oldest first; zero fields select all.
type AuditFilter struct {
	After       int64 // only entries with a larger number: the cursor of a page
	Actor       string
	Action      string // this one, or with a final "." all below
	Resource    string
	Service     string
	Environment string
	From        time.Time
	To          time.Time
	Newest      bool // the newest first; After counts downwards then, and 0 is the end
	Limit       int  // at most 1,000; zero: 100
}

// AuditLog is append-only. Entries are appended one after the other, whoever appends.
type AuditLog interface {
	// AppendAudit puts entries on record; Seq, At, Prev and Digest are the store's. They are on disk when it returns.
	AppendAudit(ctx context.Context, entries ...AuditEntry) ([]AuditEntry, error)
	Audit(ctx context.Context, f AuditFilter) ([]AuditEntry, error)
}
