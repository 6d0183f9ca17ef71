package api_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

func TestTheAuditLogIsListedAPageAtATime(t *testing.T) {
	b := newBench(t)
	b.furnish()
	b.ask(b.viewer, "GET", "/v1/connections", "") // refused
	every, err := b.store.Audit(t.Context(), adg.AuditFilter{Limit: 1000})
	b.must(err)
	client, ctx := adgv1.NewAuditServiceClient(b.grpc()), as(t.Context(), b.admin)
	for _, oldest := range []bool{true, false} {
		r := &adgv1.ListAuditEntriesRequest{PageSize: 3, OldestFirst: oldest}
		var seen []int64
		for {
			page, err := client.ListAuditEntries(ctx, r)
			b.must(err)
			for _, e := range page.GetEntries() {
				seen = append(seen, e.GetSeq())
			}
			if r.PageToken = page.GetNextPageToken(); r.GetPageToken() == "" {
				break
			}
			if len(page.GetEntries()) != 3 {
				t.Fatalf("a page of %d", len(page.GetEntries()))
			}
		}
		if len(seen) != len(every) || (seen[0] == 1) != oldest {
			t.Errorf("oldest first is %t: %v of %d", oldest, seen, len(every))
		}
	}
	denied, err := client.ListAuditEntries(ctx, &adgv1.ListAuditEntriesRequest{Outcomes: []adgv1.AuditOutcome{adgv1.AuditOutcome_AUDIT_OUTCOME_DENIED}})
	if err != nil || len(denied.GetEntries()) != 1 {
		t.Errorf("refused: %v %v", denied, err)
	}
	none, err := client.ListAuditEntries(ctx, &adgv1.ListAuditEntriesRequest{Actor: "user:nobody"})
	if err != nil || len(none.GetEntries()) != 0 {
		t.Errorf("of nobody: %v %v", none, err)
	}
	_, err = client.ListAuditEntries(ctx, &adgv1.ListAuditEntriesRequest{PageSize: -1})
	if status.Code(err) != codes.InvalidArgument {
		t.Error(err)
	}
}

func TestAuditLogWhoseEndWasCutOffIsFoundByTheDigestThatWasNoted(t *testing.T) {
	b := newBench(t)
	for range 3 {
		_, err := b.store.AppendAudit(t.Context(), adg.AuditEntry{Actor: "ann", Action: "hold.put", Outcome: adg.AuditDone})
		b.must(err)
	}
	client, ctx := adgv1.NewAuditServiceClient(b.grpc()), as(t.Context(), b.admin)
	verify := func(seq int64, digest string) *adgv1.VerifyAuditLogResponse {
		t.Helper()
		answer, err := client.VerifyAuditLog(ctx, &adgv1.VerifyAuditLogRequest{AfterSeq: seq, AfterDigest: digest})
		b.must(err)
		return answer
	}
	whole := verify(0, "")
	last, digest := whole.GetLastSeq(), whole.GetLastDigest()
	if again := verify(last, digest); !again.GetIntact() || again.GetEntries() != 0 || again.GetLastSeq() != last || again.GetLastDigest() != digest {
		t.Errorf("the whole log: %v", again)
	}
	if cut := verify(last+2, digest); cut.GetIntact() || cut.GetProblem() != fmt.Sprintf("audit entry %d is missing: the log ends before it", last+2) {
		t.Errorf("a log that ends before what was noted: %v", cut)
	}
	if other := verify(last-1, digest); other.GetIntact() || !strings.Contains(other.GetProblem(), "another one") {
		t.Errorf("a log with another entry in its place: %v", other)
	}
	for _, half := range []*adgv1.VerifyAuditLogRequest{{AfterSeq: 2}, {AfterDigest: digest}, {AfterSeq: -1, AfterDigest: digest}} {
		if _, err := client.VerifyAuditLog(ctx, half); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%v: %v", half, err)
		}
	}
}
