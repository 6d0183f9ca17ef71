package seal_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/seal"
)

var at = seal.Place{Kind: "connection", Key: "prometheus/password"}

func TestWhatWasSealedOpensInItsPlace(t *testing.T) {
	ring := ringOf(t, newKey(t), newKey(t), newKey(t))
	places := rapid.Custom(func(t *rapid.T) seal.Place {
		return seal.Place{Kind: rapid.StringN(1, 16, 64).Draw(t, "kind"), Key: rapid.StringN(1, 128, 512).Draw(t, "key")}
	})
	rapid.Check(t, func(rt *rapid.T) {
		place, secret := places.Draw(rt, "place"), rapid.String().Draw(rt, "secret")
		sealed, err := ring.Seal(rt.Context(), place, adg.NewSecret(secret))
		if err != nil {
			rt.Fatal(err)
		}
		if !seal.IsSealed(sealed) || !strings.HasPrefix(sealed, "adg.sealed.v1:"+ring.Active()+":") {
			rt.Fatalf("written as %s", sealed)
		}
		opened, err := ring.Open(rt.Context(), place, sealed)
		if err != nil || opened.Reveal() != secret {
			rt.Fatalf("opened %q, %v", opened.Reveal(), err)
		}
		other := places.Draw(rt, "another place")
		if other == place {
			return
		}
		if opened, err := ring.Open(rt.Context(), other, sealed); err == nil || !opened.IsZero() || adg.CodeOf(err) != adg.Invalid {
			rt.Fatalf("sealed for %q, opened in %q: %v", place, other, err)
		}
	})
}

func TestPartsOfAPlaceAreNotExchanged(t *testing.T) {
	ring := ringOf(t, newKey(t))
	sealed := sealedBy(t, ring, seal.Place{Kind: "ab", Key: "c"}, "secret")
	if _, err := ring.Open(t.Context(), seal.Place{Kind: "a", Key: "bc"}, sealed); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("ab, c opens as a, bc: %v", err)
	}
}

func TestASealedValueWithAnyBitFlippedDoesNotOpen(t *testing.T) {
	ring := ringOf(t, newKey(t))
	sealed := sealedBy(t, ring, at, "secret")
	for i := range sealed {
		for bit := range 8 {
			changed := []byte(sealed)
			changed[i] ^= 1 << bit
			if opened, err := ring.Open(t.Context(), at, string(changed)); err == nil || !opened.IsZero() {
				t.Fatalf("bit %d of byte %d flipped opens all the same: %s", bit, i, changed)
			}
		}
	}
	for _, changed := range []string{sealed + "\n", sealed[:40] + "\n" + sealed[40:], sealed + "=", sealed[:len(sealed)-4], " " + sealed} {
		if _, err := ring.Open(t.Context(), at, changed); err == nil {
			t.Errorf("opens all the same: %q", changed)
		}
	}
}

func TestTheSameSecretIsAnotherTextEachTime(t *testing.T) {
	ring, seen := ringOf(t, newKey(t)), map[string]bool{}
	for range 50 {
		sealed := sealedBy(t, ring, at, "secret")
		if seen[sealed] {
			t.Fatal("sealed twice the same way")
		}
		seen[sealed] = true
	}
}

func TestAKeyThatIsNotInTheRingIsNamed(t *testing.T) {
	one, two := ringOf(t, newKey(t)), ringOf(t, newKey(t))
	_, err := two.Open(t.Context(), at, sealedBy(t, one, at, "secret"))
	if adg.CodeOf(err) != adg.NotFound || !strings.Contains(err.Error(), one.Active()) || !strings.Contains(err.Error(), "seal.older") {
		t.Errorf("said: %v", err)
	}
}

func TestAnotherKeyUnderTheSameNameDoesNotOpen(t *testing.T) {
	one, two := ringOf(t, newKey(t)), ringOf(t, newKey(t))
	renamed := strings.Replace(sealedBy(t, one, at, "secret"), one.Active(), two.Active(), 1)
	if _, err := two.Open(t.Context(), at, renamed); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("said: %v", err)
	}
}

func TestARingRefusesTheSameKeyTwice(t *testing.T) {
	key := newKey(t)
	if _, err := seal.NewKeyring(key, key); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("said: %v", err)
	}
}

func TestRotationSealsEverythingWithTheActiveKeyInPieces(t *testing.T) {
	oldKey, key := newKey(t), newKey(t)
	old := ringOf(t, oldKey)
	ring := ringOf(t, key, oldKey)
	var records []seal.Record
	for i := range 10 {
		place := seal.Place{Kind: "connection", Key: fmt.Sprint(i)}
		by := old
		if i == 4 {
			by = ring
		}
		records = append(records, seal.Record{Place: place, Sealed: sealedBy(t, by, place, "secret "+place.Key)})
	}
	var left []int
	for range 4 {
		r, err := ring.Reseal(t.Context(), records, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, changed := range r.Changed {
			for i := range records {
				if records[i].Place == changed.Place {
					records[i] = changed
				}
			}
		}
		left = append(left, r.Remaining)
	}
	if fmt.Sprint(left) != "[6 3 0 0]" {
		t.Errorf("remained %v", left)
	}
	alone := ringOf(t, key)
	for _, r := range records {
		if opened, err := alone.Open(t.Context(), r.Place, r.Sealed); err != nil || opened.Reveal() != "secret "+r.Place.Key {
			t.Errorf("%s: %v", r.Place.Key, err)
		}
	}
}

func TestRotationStopsAtWhatDoesNotOpenAndKeepsWhatWasDone(t *testing.T) {
	oldKey, key := newKey(t), newKey(t)
	old, ring := ringOf(t, oldKey), ringOf(t, key, oldKey)
	moved := seal.Place{Kind: "connection", Key: "moved"}
	r, err := ring.Reseal(t.Context(), []seal.Record{
		{Place: at, Sealed: sealedBy(t, old, at, "secret")},
		{Place: moved, Sealed: sealedBy(t, old, at, "secret")},
	}, 10)
	if adg.CodeOf(err) != adg.Invalid || len(r.Changed) != 1 || r.Remaining != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestWhatIsTooLongIsRefused(t *testing.T) {
	ring := ringOf(t, newKey(t))
	longest := strings.Repeat("x", seal.MaxSecret)
	if opened, err := ring.Open(t.Context(), at, sealedBy(t, ring, at, longest)); err != nil || opened.Reveal() != longest {
		t.Errorf("the longest secret: %v", err)
	}
	for name, try := range map[string]func() error{
		"secret": func() error { _, err := ring.Seal(t.Context(), at, adg.NewSecret(longest+"x")); return err },
		"kind": func() error {
			_, err := ring.Seal(t.Context(), seal.Place{Kind: longest, Key: "k"}, adg.Secret{})
			return err
		},
		"no key": func() error { _, err := ring.Seal(t.Context(), seal.Place{Kind: "k"}, adg.Secret{}); return err },
		"sealed": func() error { _, err := ring.Open(t.Context(), at, "adg.sealed.v1:k:"+longest+longest); return err },
	} {
		if err := try(); adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeysAreReadInTheFormsThatPeopleKeepThem(t *testing.T) {
	raw, err := hex.DecodeString(seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	var id string
	for _, text := range []string{
		hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)), hex.EncodeToString(raw) + "\r\n", base64.StdEncoding.EncodeToString(raw),
		base64.RawStdEncoding.EncodeToString(raw), base64.URLEncoding.EncodeToString(raw), " " + base64.RawURLEncoding.EncodeToString(raw),
	} {
		key, err := seal.ParseKey(adg.NewSecret(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if id != "" && key.ID() != id {
			t.Errorf("%s has another id", text)
		}
		id = key.ID()
	}
}

func TestWhatIsNoKeyIsRefusedAndNotRepeated(t *testing.T) {
	for _, text := range []string{
		"", "planted", "planted-planted-planted-planted!", seal.NewKey()[1:], seal.NewKey() + "00", strings.Repeat("0", 64), strings.Repeat("ab", 32),
	} {
		_, err := seal.ParseKey(adg.NewSecret(text))
		if adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), "adg key new") {
			t.Fatalf("%q: %v", text, err)
		}
		if text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("repeated: %v", err)
		}
	}
}

func TestAKeyNeverShowsItself(t *testing.T) {
	text := seal.NewKey()
	raw, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	key, err := seal.ParseKey(adg.NewSecret(text))
	if err != nil {
		t.Fatal(err)
	}
	ring := ringOf(t, key)
	shown, err := json.Marshal([]any{key, ring})
	if err != nil {
		t.Fatal(err)
	}
	said := string(shown)
	for _, v := range []any{key, ring, []seal.Key{key}, struct{ key seal.Key }{key}, *ring} {
		said += fmt.Sprintf("%v %+v %#v %s %x %d\n", v, v, v, v, v, v)
	}
	decimal := strings.Trim(fmt.Sprintf("%d", raw[:6]), "[]")
	for _, form := range []string{text[:16], text[16:32], decimal, base64.StdEncoding.EncodeToString(raw)[:16], fmt.Sprintf("%#v", raw[:4])[8:20]} {
		if strings.Contains(strings.ToLower(said), strings.ToLower(form)) {
			t.Errorf("%q shows in %s", form, said)
		}
	}
}

func TestAKeyFileIsForItsOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(seal.NewKey()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, good := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o640: false, 0o604: false, 0o660: false, 0o644: false, 0o601: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := seal.FileKey(path)
		if (err == nil) != good {
			t.Errorf("mode %o: %v", mode, err)
		}
		if err != nil && !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %o does not say what to do: %v", mode, err)
		}
	}
}

func TestASourceIsExactlyOneAndSaysWhereItFailed(t *testing.T) {
	text := func(s string) *string { return &s }
	folder, large := t.TempDir(), filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(large, make([]byte, 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	env := func(name string) (string, bool) {
		value, found := map[string]string{"SEAL": seal.NewKey(), "BAD": "planted"}[name]
		return value, found
	}
	for _, one := range []struct {
		name   string
		source seal.Source
		want   string // in the error; empty: it opens
	}{
		{"a variable", seal.Source{Env: text("SEAL")}, ""},
		{"no variable of that name", seal.Source{Env: text("NONE")}, "NONE"},
		{"a variable with something else", seal.Source{Env: text("BAD")}, "BAD"},
		{"no file", seal.Source{File: text(filepath.Join(folder, "none"))}, "no such file"},
		{"a folder", seal.Source{File: &folder}, "no regular file"},
		{"a large file", seal.Source{File: &large}, "8 KiB"},
		{"nothing", seal.Source{}, "exactly one"},
		{"two at once", seal.Source{Env: text("SEAL"), File: text("key")}, "exactly one"},
	} {
		_, err := one.source.Open(t.Context(), env)
		switch {
		case one.want == "" && err != nil:
			t.Errorf("%s: %v", one.name, err)
		case one.want != "" && (err == nil || !strings.Contains(err.Error(), one.want) || strings.Contains(err.Error(), "planted")):
			t.Errorf("%s: %v, not %q", one.name, err, one.want)
		}
	}
	other := seal.NewKey()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	ring, err := seal.OpenRing(t.Context(), seal.Source{Env: text("SEAL")}, []seal.Source{{File: &path}}, env)
	if err != nil {
		t.Fatal(err)
	}
	key, err := seal.ParseKey(adg.NewSecret(other))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ring.Open(t.Context(), at, sealedBy(t, ringOf(t, key), at, "secret")); err != nil {
		t.Errorf("the older key does not open: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	key, err := seal.ParseKey(adg.NewSecret(strings.Repeat("0123456789abcdef", 3) + "fedcba9876543210"))
	if err != nil {
		f.Fatal(err)
	}
	ring, err := seal.NewKeyring(key)
	if err != nil {
		f.Fatal(err)
	}
	sealed, err := ring.Seal(f.Context(), at, adg.NewSecret("secret"))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{sealed, sealed[:30], "adg.sealed.v1:", "adg.sealed.v1:" + key.ID() + ":", "adg.sealed.v1:" + key.ID() + ":AAAA", "adg.sealed.v2:k:AA", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		opened, err := ring.Open(t.Context(), at, text)
		// Each process that fuzzes has seeds of its own, sealed by the same key.
		if err == nil && opened.Reveal() != "secret" {
			t.Fatalf("%q opens as %q", text, opened.Reveal())
		}
		if err != nil && adg.CodeOf(err) == adg.Internal {
			t.Errorf("nobody classified %v", err)
		}
	})
}

func newKey(t *testing.T) seal.Key {
	t.Helper()
	key, err := seal.ParseKey(adg.NewSecret(seal.NewKey()))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func ringOf(t *testing.T, active seal.Key, older ...seal.Key) *seal.Keyring {
	t.Helper()
	ring, err := seal.NewKeyring(active, older...)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func sealedBy(t *testing.T, ring *seal.Keyring, place seal.Place, secret string) string {
	t.Helper()
	sealed, err := ring.Seal(t.Context(), place, adg.NewSecret(secret))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}
