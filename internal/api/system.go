package api

import (
	"context"
	"runtime"
	"runtime/debug"

	"google.golang.org/protobuf/types/known/timestamppb"

	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// system answers SystemService.
type system struct {
	adgv1.UnimplementedSystemServiceServer
	*API
}

// GetVersion says which version runs.
func (s *system) GetVersion(context.Context, *adgv1.GetVersionRequest) (*adgv1.Version, error) {
	answer := &adgv1.Version{Version: s.o.Version, Go: runtime.Version(), Api: "v1"}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, one := range info.Settings {
			if one.Key == "vcs.revision" {
				answer.Commit = one.Value
			}
		}
	}
	return answer, nil
}

// GetSystemHealth says how the parts are doing.
func (s *system) GetSystemHealth(ctx context.Context, _ *adgv1.GetSystemHealthRequest) (*adgv1.SystemHealth, error) {
	now, err := s.o.Store.Now(ctx)
	if err != nil {
		return nil, err
	}
	answer := &adgv1.SystemHealth{Ok: true, Time: timestamppb.New(now), Parts: []*adgv1.PartHealth{{Name: "store", Ok: true, Text: "the store answers"}}}
	dead, err := s.o.Store.Dead(ctx, 1000)
	if err != nil {
		return nil, err
	}
	outbox := &adgv1.PartHealth{Name: "outbox", Ok: len(dead) == 0, Text: "every fact is told or on its way"}
	if len(dead) > 0 {
		outbox.Text, outbox.WayOut = "facts could not be told and were given up", "look at them (adg events --dead), mend the notifier, and send them again"
	}
	answer.Parts = append(answer.Parts, outbox)
	answer.Ok = outbox.GetOk()
	return answer, nil
}
