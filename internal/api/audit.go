package api

import (
	"context"
	"fmt"
	"strconv"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	"github.com/deployguardian/adg/internal/identity"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// audits answers AuditService.
type audits struct {
	adgv1.UnimplementedAuditServiceServer
	*API
}

// ListAuditEntries gives a page of the audit log.
func (s *audits) ListAuditEntries(ctx context.Context, r *adgv1.ListAuditEntriesRequest) (*adgv1.ListAuditEntriesResponse, error) {
	if err := identity.Allowed(caller(ctx).Identity, identity.AuditRead, "", ""); err != nil {
		return nil, err
	}
	f, err := wire.ReadAuditFilter(r)
	if err != nil {
		return nil, err
	}
	outcomes, err := wire.ReadAuditOutcomes(r.GetOutcomes())
	if err != nil {
		return nil, err
	}
	size, after, err := numbered(r)
	if err != nil {
		return nil, err
	}
	f.After, f.Limit = after, 1000
	if len(outcomes) == 0 {
		f.Limit = min(size+1, f.Limit) // else few of many may be wanted
	}
	answer := &adgv1.ListAuditEntriesResponse{}
	for {
		found, err := s.o.Store.Audit(ctx, f)
		if err != nil {
			return nil, err
		}
		for _, e := range found {
			f.After = e.Seq
			if !among(outcomes, e.Outcome) {
				continue
			}
			if len(answer.GetEntries()) == size {
				answer.NextPageToken = wire.PageToken(r, strconv.FormatInt(answer.GetEntries()[size-1].GetSeq(), 10))
				return answer, nil
			}
			answer.Entries = append(answer.Entries, wire.AuditEntry(e))
		}
		if len(found) < f.Limit {
			return answer, nil
		}
	}
}

// VerifyAuditLog checks the chain, from its beginning or from an entry that is trusted.
func (s *audits) VerifyAuditLog(ctx context.Context, r *adgv1.VerifyAuditLogRequest) (*adgv1.VerifyAuditLogResponse, error) {
	if err := identity.Allowed(caller(ctx).Identity, identity.AuditRead, "", ""); err != nil {
		return nil, err
	}
	answer := &adgv1.VerifyAuditLogResponse{LastSeq: r.GetAfterSeq(), LastDigest: r.GetAfterDigest()}
	problem, err := s.untrusted(ctx, r.GetAfterSeq(), r.GetAfterDigest())
	if err != nil || problem != "" {
		return &adgv1.VerifyAuditLogResponse{Problem: problem}, err
	}
	for {
		page, err := s.o.Store.Audit(ctx, adg.AuditFilter{After: answer.GetLastSeq(), Limit: 1000})
		if err != nil {
			return nil, err
		}
		if len(page) == 0 {
			answer.Intact = true
			return answer, nil
		}
		if err := adg.VerifyAudit(answer.GetLastSeq(), answer.GetLastDigest(), page); err != nil {
			answer.Problem = err.Error()
			return answer, nil
		}
		last := page[len(page)-1]
		answer.Entries, answer.LastSeq, answer.LastDigest = answer.GetEntries()+int64(len(page)), last.Seq, last.Digest
	}
}

// Private

// untrusted is what is wrong with the entry that was noted elsewhere; empty: it is there, as it was noted. Without
// looking at it nobody would find that the end of the log was cut off, since nothing comes behind it then.
func (s *audits) untrusted(ctx context.Context, seq int64, digest string) (problem string, err error) {
	if seq == 0 && digest == "" {
		return "", nil
	}
	if seq < 1 || digest == "" {
		return "", wire.Wrong("after_seq", "after_seq and after_digest are those of one entry, as an answer before has them: give both or none")
	}
	found, err := s.o.Store.Audit(ctx, adg.AuditFilter{After: seq - 1, Limit: 1})
	switch {
	case err != nil:
		return "", err
	case len(found) == 0:
		return fmt.Sprintf("audit entry %d is missing: the log ends before it", seq), nil
	case found[0].Seq != seq:
		return fmt.Sprintf("audit entry %d is missing: %d is in its place", seq, found[0].Seq), nil
	case found[0].Digest != digest || found[0].Chained(found[0].Prev).Digest != digest:
		return fmt.Sprintf("audit entry %d is another one than the one with this digest", seq), nil
	}
	return "", nil
}
