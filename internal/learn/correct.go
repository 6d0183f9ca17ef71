package learn

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/deployguardian/adg"
)

// Correction is a human's word on how a deployment really came out. The last one outweighs what was seen, and all of
// them stay on record.
type Correction struct {
	Deployment string    `json:"deployment"`
	Outcome    Outcome   `json:"outcome"`
	Actor      string    `json:"actor"`
	Reason     string    `json:"reason"`
	Incident   string    `json:"incident,omitempty"` // where the incident is written down
	At         time.Time `json:"at"`
}

// Correct puts a correction on record, beside those before it, and says so in the audit log. The origin is what only the
// caller knows: From, Service and Environment count. It is on disk when it returns.
func Correct(ctx context.Context, documents adg.Documents, c Correction, origin adg.AuditEntry) error {
	return CorrectAfter(ctx, documents, c, -1, origin)
}

// CorrectAfter corrects as Correct does, if there are so many corrections of the deployment by now; any other number is a
// Conflict. Below zero it may be any.
func CorrectAfter(ctx context.Context, documents adg.Documents, c Correction, after int, origin adg.AuditEntry) error {
	if c.Deployment == "" || c.Actor == "" || c.Reason == "" {
		return adg.Errorf(adg.Invalid, "a correction names the deployment, who makes it, and why")
	}
	if c.Incident != cleanTo(c.Incident, maxLink) {
		return adg.Errorf(adg.Invalid, "an incident is linked by its address or its name, at most %d bytes on one line", maxLink)
	}
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	entry := adg.AuditEntry{
		Actor: c.Actor, From: origin.From, Action: "outcome.correct", Resource: "deployment/" + c.Deployment,
		Service: origin.Service, Environment: origin.Environment, Outcome: adg.AuditDone, Reason: c.Reason,
		Detail: map[string]string{"outcome": c.Outcome.String()},
	}
	if c.Incident != "" {
		entry.Detail["incident"] = c.Incident
	}
	for {
		before, err := documents.ListDocuments(ctx, adg.DocumentFilter{Kind: correctionKind, Prefix: c.Deployment + "/", Limit: maxCorrections, Bare: true})
		if err != nil {
			return err
		}
		if len(before) == maxCorrections {
			return adg.Errorf(adg.Invalid, "the outcome of %s was corrected %d times, and that is enough: agree on it first", c.Deployment, maxCorrections)
		}
		if after >= 0 && len(before) != after {
			return adg.Errorf(adg.Conflict, "somebody else corrected the outcome of %s since you looked at it", c.Deployment)
		}
		// Whoever takes the number first has it; the other finds it taken and takes the next.
		key := fmt.Sprintf("%s/%03d", c.Deployment, len(before))
		_, err = documents.WriteDocuments(ctx, []adg.Write{{Document: adg.Document{Kind: correctionKind, Key: key, Data: text}}}, entry)
		if adg.CodeOf(err) != adg.Conflict {
			return err
		}
	}
}

// Corrections are those on record, those of one deployment in the order in which they were made.
func Corrections(ctx context.Context, documents adg.Documents) ([]Correction, error) {
	return corrections(ctx, documents, "")
}

// CorrectionsOf are those of one deployment, in the order in which they were made.
func CorrectionsOf(ctx context.Context, documents adg.Documents, deployment string) ([]Correction, error) {
	return corrections(ctx, documents, deployment+"/")
}

// Private

func corrections(ctx context.Context, documents adg.Documents, prefix string) ([]Correction, error) {
	var all []Correction
	for d, err := range adg.AllDocuments(ctx, documents, adg.DocumentFilter{Kind: correctionKind, Prefix: prefix, Limit: correctionPage}) {
		if err != nil {
			return nil, err
		}
		var c Correction
		if err := json.Unmarshal(d.Data, &c); err != nil {
			return nil, adg.Errorf(adg.Invalid, "the correction %s is damaged: %w", d.Key, err)
		}
		all = append(all, c)
	}
	return all, nil
}

const (
	correctionKind = "correction" // a document's key is the deployment and the correction's number
	maxCorrections = 1000         // of one deployment: the numbers have three digits
	correctionPage = 1000
)

// maxLink bounds the address of an incident.
const maxLink = 300

// corrected lets the last correction of a deployment count.
func corrected(d Deployment, c Correction) Deployment {
	why := fmt.Sprintf("corrected by %s on %s: %s", c.Actor, c.At.UTC().Format(time.DateOnly), c.Reason)
	if c.Incident != "" {
		why += ", incident " + c.Incident
	}
	d.Outcome, d.Why = c.Outcome, cleanTo(why, maxSentence)
	d.FailedAt = time.Time{}
	switch c.Outcome {
	case RolledBack, Blocked, Hotfixed, Incident:
		d.FailedAt = c.At.UTC()
	case Unknown, Success, Superseded:
	}
	return d
}
