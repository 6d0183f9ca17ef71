package api

import (
	"context"
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
	found, err := s.o.Store.Audit(ctx, f)
	answer := &adgv1.ListAuditEntriesResponse{}
	for _, e := range found {
		answer.Entries = append(answer.Entries, wire.AuditEntry(e))
	}
	if len(found) == f.Limit {
		answer.NextPageToken = wire.PageToken(r, strconv.FormatInt(found[len(found)-1].Seq, 10))
	}
	return answer, err
}

// VerifyAuditLog checks the chain from its beginning.
func (s *audits) VerifyAuditLog(ctx context.Context, _ *adgv1.VerifyAuditLogRequest) (*adgv1.VerifyAuditLogResponse, error) {
	if err := identity.Allowed(caller(ctx).Identity, identity.AuditRead, "", ""); err != nil {
		return nil, err
	}
	answer := &adgv1.VerifyAuditLogResponse{}
	var seq int64
	digest := ""
	for {
		page, err := s.o.Store.Audit(ctx, adg.AuditFilter{After: seq, Limit: 1000})
		if err != nil {
			return nil, err
		}
		if err := adg.VerifyAudit(seq, digest, page); err != nil {
			answer.Problem = err.Error()
			break
		}
		if len(page) == 0 {
			break
		}
		seq, digest = page[len(page)-1].Seq, page[len(page)-1].Digest
	}
	answer.Intact, answer.Entries, answer.Digest = answer.Problem == "", seq, digest
	return answer, nil
}
