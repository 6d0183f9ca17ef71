package control_test

import (
	"strings"
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/control"
)

func TestPasswordsInAddressesAreNotStored(t *testing.T) {
	b := newBench(t)
	for name, options := range map[string]string{
		"in the address":       `{"url": "http://adg:hunter2@127.0.0.1:1/"}`,
		"escaped":              `{"url": "http://adg:hunter2%2B@127.0.0.1:1/"}`,
		"in a field of fields": `{"url": "http://127.0.0.1:1/", "proxy": "http://adg:hunter2@127.0.0.1:1/"}`,
	} {
		_, err := b.PutConnection(t.Context(), b.admin, control.Connection{Seam: "source", Name: "prom2", Type: "prometheus", Options: options, Services: []string{"*"}, Environments: []string{"*"}}, 0)
		if adg.CodeOf(err) != adg.Invalid || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.PutConnection(t.Context(), b.admin, control.Connection{Seam: "source", Name: "prom2", Type: "prometheus", Options: `{"url": "http://adg@127.0.0.1:1/"}`, Services: []string{"*"}, Environments: []string{"*"}}, 0); err != nil {
		t.Errorf("a name alone is no secret: %v", err)
	}
}
