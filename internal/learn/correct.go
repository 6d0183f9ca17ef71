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
	var all []Correction
	for f := (adg.DocumentFilter{Kind: correctionKind, Limit: correctionPage}); ; {
		page, err := documents.ListDocuments(ctx, f)
		if err != nil {
			return nil, err
		}
		for _, d := range page {
			var c Correction
			if err := json.Unmarshal(d.Data, &c); err != nil {
				return nil, adg.Errorf(adg.Invalid, "the correction %s is damaged: %w", d.Key, err)
			}
			all = append(all, c)
			f.After = d.Key
		}
		if len(page) < correctionPage {
			return all, nil
		}
	}
}

// Private

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
