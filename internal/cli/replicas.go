package cli

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Private

// silentAfter is how long a replica may say nothing: three times as long as it takes between two words.
const silentAfter = 30 * time.Second

func statusOfServer(t Terminal, connect Connect) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "status", Short: "List the servers that share the store, and how they are", Args: cobra.NoArgs,
		Long: `List the servers that share the store of the one that is asked: since when each runs, when it was seen last, how many
deployments it works on now, and how late its ticks were in the last five minutes (99 of 100 were less so). One that was
killed is listed as silent for ten minutes.`,
		Example: "  adg server status",
	}
	limitFlag(cmd, &limit)
	return online(t, connect, cmd, func(ctx context.Context, s session, _ []string) error {
		return list(s, listing[*adgv1.Replica]{
			limit: limit, none: "no server says how it is", header: []string{"NAME", "VERSION", "SINCE", "SEEN", "DEPLOYMENTS", "LATE", ""},
			page: func(size int32, token string) ([]*adgv1.Replica, string, error) {
				answer, err := s.System.ListReplicas(ctx, &adgv1.ListReplicasRequest{PageSize: size, PageToken: token})
				return answer.GetReplicas(), answer.GetNextPageToken(), err
			},
			row: func(r *adgv1.Replica) []string {
				doubt := ""
				if s.now.Sub(r.GetSeenTime().AsTime()) > silentAfter {
					doubt = "is silent"
				}
				return []string{r.GetName(), r.GetVersion(), when(s.now, r.GetStartTime()), when(s.now, r.GetSeenTime()), strconv.Itoa(int(r.GetDeployments())), r.GetLateness().AsDuration().Round(time.Millisecond).String(), doubt}
			},
		})
	})
}
