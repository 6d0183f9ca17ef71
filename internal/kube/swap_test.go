package kube

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/deployguardian/adg"
)

func TestAWriteGoesOnWhileOthersAreFasterButNotForEver(t *testing.T) {
	faster := adg.Errorf(adg.Conflict, "somebody else has changed it meanwhile")
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		lost  int // attempts that somebody else was faster than
		err   error
		tries int
		code  adg.Code
		least time.Duration
		most  time.Duration
	}{
		"at once":                       {lost: 0, tries: 1},
		"after others":                  {lost: 10, tries: 11, least: time.Second, most: 3 * time.Second},
		"never":                         {lost: 1000, tries: 16, code: adg.Unavailable, least: 4 * time.Second, most: 6 * time.Second},
		"an error is not tried anew":    {err: broken, tries: 1, code: adg.CodeOf(broken)},
		"an error after others is said": {lost: 2, err: broken, tries: 3, code: adg.CodeOf(broken), most: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun, tries := time.Now(), 0
				err := Swap(t.Context(), func() (bool, error) {
					if tries++; tries <= test.lost {
						return true, faster
					}
					return false, test.err
				})
				if took := time.Since(begun); tries != test.tries || took < test.least || took > test.most {
					t.Errorf("%d attempts in %s", tries, took)
				}
				if wrong := test.err != nil || test.tries == maxConflicts; (err != nil) != wrong || wrong && adg.CodeOf(err) != test.code {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

func TestAWriteThatOthersHinderEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		err := Swap(ctx, func() (bool, error) { return true, adg.Errorf(adg.Conflict, "somebody else") })
		if !errors.Is(err, context.DeadlineExceeded) || adg.CodeOf(err) != adg.Unavailable {
			t.Errorf("%v", err)
		}
	})
}
