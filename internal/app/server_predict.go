package app

import (
	"context"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/oracle"
)

// Private

// predictor predicts what the server starts. It asks the guard, which comes to be later, how the live release is doing.
func (s *server) predictor(late *starter) *oracle.Oracle {
	return oracle.New(oracle.Options{
		Store: s.store, Log: s.log,
		Before: func(ctx context.Context, spec adg.Spec, live adg.Release) (adg.Assessment, []adg.Baseline, error) {
			return late.Before(ctx, spec, live)
		},
	})
}
