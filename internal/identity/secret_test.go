package identity

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/deployguardian/adg"
)

// cheap is for tests that are not about the cost.
var cheap = Argon{Memory: 8, Passes: 1, Threads: 1}

func TestATokenHasTheFormatThatScannersLookFor(t *testing.T) {
	format := regexp.MustCompile(`^adg_[a-z2-7]{13}_[a-z2-7]{59}$`)
	seen := map[string]bool{}
	for range 100 {
		c := newCredential(tokenPrefix)
		if !format.MatchString(c.text) || seen[c.text] || CheckCredential(c.text) != nil {
			t.Fatalf("%q is no good token", c.text)
		}
		seen[c.text] = true
	}
}

func TestATypoInATokenIsFoundWithoutTheStore(t *testing.T) {
	text := newCredential(tokenPrefix).text
	for i := range text {
		for _, other := range []byte("a7_") {
			if text[i] == other {
				continue
			}
			if CheckCredential(text[:i]+string(other)+text[i+1:]) == nil {
				t.Errorf("%q at %d was not noticed", other, i)
			}
		}
		if i > 0 && text[i] != text[i-1] && CheckCredential(text[:i-1]+text[i:i+1]+text[i-1:i]+text[i+1:]) == nil {
			t.Errorf("two characters swapped at %d were not noticed", i)
		}
		if CheckCredential(text[:i]) == nil {
			t.Errorf("cut off at %d was not noticed", i)
		}
	}
	if err := CheckCredential(text[:len(text)-1] + "="); err == nil || !strings.Contains(err.Error(), "mistyped") || strings.Contains(err.Error(), text[20:40]) {
		t.Errorf("got %v", err)
	}
}

func FuzzCredentialsAreReadWithoutSurprise(f *testing.F) {
	for _, seed := range []string{"", "adg", "adg__", "adg_abcdefghij234_", newCredential(tokenPrefix).text, newCredential(sessionPrefix).text, strings.Repeat("_", 90)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCredential(text)
		if err != nil {
			if adg.CodeOf(err) != adg.Unauthorized || len(err.Error()) > 300 {
				t.Errorf("%v", err)
			}
			return
		}
		if c.text != text || !strings.HasPrefix(text, c.prefix+"_"+c.id+"_") || !c.is(c.digest()) {
			t.Errorf("%q was read as %+v", text, c)
		}
	})
}

func FuzzStoredPasswordsAreReadWithoutSurprise(f *testing.F) {
	h, err := newHasher(cheap)
	if err != nil {
		f.Fatal(err)
	}
	good, err := h.hash(f.Context(), "correct horse battery")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", good, "$argon2id$v=19$m=4294967295,t=4294967295,p=255$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA", "$argon2i$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
		strings.Replace(good, "v=19", "v=16", 1), strings.Replace(good, "t=1", "t=01", 1), good + "$"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePHC(text)
		if err == nil && (p.String() != text || p.cost.validate() != nil) {
			t.Errorf("%q was read as %v", text, p)
		}
	})
}

func TestAPasswordIsLongAndNotTheName(t *testing.T) {
	for _, tt := range []struct {
		name, user, password string
		good                 bool
	}{
		{"five words", "ann", "one two three four five", true},
		{"twelve characters", "ann", "abcdefghijkl", true},
		{"eleven characters", "ann", "abcdefghijk", false},
		{"twelve characters of another writing", "ann", "пароль-длинн", true},
		{"nothing", "ann", "", false},
		{"the name itself", "alexandra.smith", "alexandra.smith", false},
		{"the name in capitals", "alexandra.smith", "ALEXANDRA.Smith", false},
		{"the name with a number", "alexandra.smith", "alexandra.smith1234", false},
		{"the name again and again", "anna", "annaannaannaanna", false},
		{"a name of one letter is no secret", "a", "banana split please", true},
		{"more than anybody types", "ann", strings.Repeat("x", 1025), false},
		{"bytes that are no text", "ann", "abcdefghijkl\xff", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := CheckPassword(tt.user, tt.password); (err == nil) != tt.good {
				t.Errorf("got %v", err)
			} else if err != nil && tt.password != "" && strings.Contains(err.Error(), tt.password) {
				t.Errorf("the error repeats the password: %v", err)
			}
		})
	}
}

func TestAPasswordFitsItsHashAndNoOther(t *testing.T) {
	h, err := newHasher(cheap)
	if err != nil {
		t.Fatal(err)
	}
	first, err := h.hash(t.Context(), "correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	second, _ := h.hash(t.Context(), "correct horse battery")
	if first == second {
		t.Error("the same password has the same hash: there is no salt")
	}
	for _, tt := range []struct {
		name, stored, password string
		fits                   bool
	}{
		{"the right one", first, "correct horse battery", true},
		{"a wrong one", first, "correct horse batterz", false},
		{"none", first, "", false},
		{"no hash", "", "correct horse battery", false},
		{"no hash and no password", "", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if fits, outdated, err := h.verify(t.Context(), tt.stored, tt.password); fits != tt.fits || outdated || err != nil {
				t.Errorf("got %v, %v, %v", fits, outdated, err)
			}
		})
	}
	dearer, err := newHasher(Argon{Memory: 16, Passes: 2, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	if fits, outdated, _ := dearer.verify(t.Context(), first, "correct horse battery"); !fits || !outdated {
		t.Error("a hash with yesterday's parameters fits, and is outdated")
	}
	if _, outdated, _ := dearer.verify(t.Context(), first, "wrong"); outdated {
		t.Error("a wrong password renews nothing")
	}
	if _, err := newHasher(Argon{Memory: 1 << 30, Passes: 1, Threads: 1}); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("a password for a terabyte: %v", err)
	}
}

func TestNoMorePasswordsAreHashedAtOnceThanThereIsMemoryFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := newHasher(cheap)
		if err != nil {
			t.Fatal(err)
		}
		for range atOnce {
			h.turns <- struct{}{}
		}
		ctx, cancel := context.WithCancel(t.Context())
		results := make(chan error, 2)
		go func() {
			_, err := h.hash(ctx, "one that gives up")
			results <- err
		}()
		go func() {
			_, _, err := h.verify(t.Context(), "", "one that waits")
			results <- err
		}()
		synctest.Wait()
		if len(results) != 0 {
			t.Fatal("a fifth password was hashed at the same time")
		}
		cancel()
		if err := <-results; adg.CodeOf(err) != adg.Unavailable {
			t.Errorf("got %v", err)
		}
		<-h.turns
		if err := <-results; err != nil {
			t.Error(err)
		}
	})
}
