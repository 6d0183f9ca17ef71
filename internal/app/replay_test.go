package app

import (
	"fmt"
	"strings"
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

func TestDeploymentIsFoundByTheBeginningOfItsId(t *testing.T) {
	store, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	ids := []string{"shop-1-aa", "shop-1", "till-2-bb", "cart-1", "cart-2"}
	for i := range 210 { // more than a page
		ids = append(ids, fmt.Sprintf("many-%d", i))
	}
	for _, id := range ids {
		d := adg.Deployment{ID: id, Spec: adg.Spec{Policy: adg.Policy{Service: "shop", Environment: "production"}}}
		if err := store.CreateDeployment(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct{ name, typed, want, refused string }{
		{"a whole id", "till-2-bb", "till-2-bb", ""},
		{"the beginning of one", "till", "till-2-bb", ""},
		{"a whole id that is the beginning of another", "shop-1", "shop-1", ""},
		{"the beginning of two", "cart", "", "cart-2, cart-1: say more"},
		{"the beginning of many", "many", "", "many deployments"},
		{"the beginning of none", "x", "", `no deployment "x"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := called(t.Context(), store, test.typed)
			switch {
			case test.refused == "" && (err != nil || got != test.want):
				t.Errorf("found %q, %v", got, err)
			case test.refused != "" && (err == nil || !strings.Contains(err.Error(), test.refused)):
				t.Errorf("found %q, %v; want %s", got, err, test.refused)
			}
		})
	}
}
