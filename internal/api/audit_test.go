package api_test

import (
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
