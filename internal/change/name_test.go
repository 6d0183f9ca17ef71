package change

import "testing"

func TestRepositoryIsKnownByWhereItWasClonedFrom(t *testing.T) {
	named := func(remote string) string {
		t.Helper()
		h := newHistory(t)
		if remote != "" {
			h.git("config", "remote.origin.url", remote)
		}
		name, err := open(t, h.dir, Options{}).Name(t.Context())
		if err != nil || len(name) != 32 {
			t.Fatalf("%q: %v", name, err)
		}
		return name
	}
	shop := named("https://git.example.com/shop.git")
	for what, c := range map[string]struct {
		remote string
		same   bool
	}{
		"another clone":                      {"https://git.example.com/shop.git", true},
		"a clone with a token of its own":    {"https://ci:t0ken@git.example.com/shop.git", true},
		"a clone of another repository":      {"https://git.example.com/billing.git", false},
		"a clone by SSH":                     {"git@git.example.com:shop.git", false},
		"a repository that was never cloned": {"", false},
	} {
		if got := named(c.remote); (got == shop) != c.same {
			t.Errorf("%s is named %s, the first %s", what, got, shop)
		}
	}
	if one, other := named(""), named(""); one == other {
		t.Error("two folders have the same name")
	}
}
