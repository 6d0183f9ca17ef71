package wire

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// checked is an enum as the test sees it.
type checked struct {
	name  string
	wire  protoreflect.EnumDescriptor
	words []string // ours, value by value
	to    []protoreflect.EnumNumber
}

func see[R interface {
	~uint8
	fmt.Stringer
}, W wireEnum](e enum[R, W]) checked {
	var zero W
	c := checked{name: string(zero.Descriptor().Name()), wire: zero.Descriptor()}
	for i := 0; !strings.HasPrefix(R(i).String(), "invalid("); i++ {
		c.words = append(c.words, R(i).String())
		c.to = append(c.to, e.to(R(i)).Number())
	}
	return c
}

func all() []checked {
	return []checked{
		see(states), see(actions), see(healths), see(verdicts), see(whys), see(proofs), see(arms), see(standings), see(decisionKinds),
		see(factKinds), see(gateStates), see(roles), see(auditOutcomes), see(comparisons), see(baselineKinds), see(aggregates),
		see(directions), see(strategyKinds), see(trusts), see(atDeadlines), see(askThens), see(errorCodes), see(identityKinds),
	}
}

func TestEveryValueOfEveryEnumHasItsNameOnBothSides(t *testing.T) {
	squeezed := func(s string) string {
		return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(s))
	}
	for _, c := range all() {
		t.Run(c.name, func(t *testing.T) {
			if len(c.words) == 0 {
				t.Fatal("it has no values of ours")
			}
			for i, word := range c.words {
				value := c.wire.Values().ByNumber(c.to[i])
				got := string(value.Name())
				nothing := slices.Contains([]string{"none", "unproven"}, word) && value.Number() == 0
				person := c.name == "IdentityKind" && word == "session" && got == "IDENTITY_KIND_USER"
				if !nothing && !person && !strings.HasSuffix(squeezed(got), squeezed(c.name)+squeezed(word)) {
					t.Errorf("%s becomes %s", word, got)
				}
			}
			for i := range c.wire.Values().Len() {
				value := c.wire.Values().Get(i)
				if !slices.Contains(c.to, value.Number()) && !strings.HasSuffix(string(value.Name()), "_UNSPECIFIED") {
					t.Errorf("nothing becomes %s", value.Name())
				}
			}
		})
	}
}

func TestWhatNoEnumHasBecomesItsZeroAndIsRefusedOnTheWayBack(t *testing.T) {
	if got := states.to(adg.State(200)); got != 0 {
		t.Errorf("a state that does not exist becomes %s", got)
	}
	if got, err := states.from(99); adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), "STATE_ROLLING_BACK") {
		t.Errorf("state 99 is %s (%v)", got, err)
	}
	for _, s := range adg.States() {
		back, err := states.from(states.to(s))
		if err != nil || back != s {
			t.Errorf("%s comes back as %s (%v)", s, back, err)
		}
	}
	for _, seam := range []string{"source", "target", "notifier", ""} {
		if back, err := ReadSeam(Seam(seam)); err != nil || back != seam {
			t.Errorf("%q comes back as %q (%v)", seam, back, err)
		}
	}
	if _, err := ReadSeam(77); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("seam 77: %v", err)
	}
}

func TestWhatWasNotGivenIsNoAction(t *testing.T) {
	if _, err := ReadAction(0); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("action: %v", err)
	}
	if _, err := ReadFactKinds([]adgv1.FactKind{1, 0}); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("fact: %v", err)
	}
	if _, err := ReadTrust(0); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("trust: %v", err)
	}
	if arm, err := ReadArm(0); arm != nil || err != nil {
		t.Errorf("arm: %v, %v", arm, err)
	}
}
