package wire

import (
	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// AuditEntry is one line of the audit log.
func AuditEntry(e adg.AuditEntry) *adgv1.AuditEntry {
	return &adgv1.AuditEntry{
		Seq: e.Seq, Time: Timestamp(e.At), Actor: text(e.Actor), Address: text(e.From), Action: text(e.Action), Resource: text(e.Resource),
		Service: text(e.Service), Environment: text(e.Environment), Outcome: auditOutcomes.to(e.Outcome), Reason: text(e.Reason),
		Detail: textMap(e.Detail), PreviousDigest: text(e.Prev), Digest: text(e.Digest),
	}
}

// ReadAuditFilter is the selection of audit entries that a caller wants, without the page. Of several outcomes the
// caller picks himself: the log is not selected by them.
func ReadAuditFilter(r *adgv1.ListAuditEntriesRequest) (adg.AuditFilter, error) {
	f := adg.AuditFilter{
		Actor: r.GetActor(), Action: r.GetAction(), Resource: r.GetResource(), Service: r.GetService(), Environment: r.GetEnvironment(),
		Newest: !r.GetOldestFirst(),
	}
	var err error
	if f.From, err = ReadTimestamp("from_time", r.GetFromTime()); err != nil {
		return f, err
	}
	f.To, err = ReadTimestamp("to_time", r.GetToTime())
	return f, err
}
