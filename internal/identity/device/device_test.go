package device

import (
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desk is a flow on a real store, with a clock that is moved by hand.
type desk struct {
	*Flow
	store adg.Store
	mu    sync.Mutex
	ahead time.Duration
}

var ann = Person{Name: "ann", From: "192.0.2.1:80"}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{}
	begin := time.Now()
	store, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{Clock: func() time.Time {
		d.mu.Lock()
		defer d.mu.Unlock()
		return begin.Add(d.ahead)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	d.Flow, d.store = New(store), store
	return d
}

func (d *desk) wait(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ahead += by
}

func (d *desk) begin(t *testing.T) Begun {
	t.Helper()
	b, err := d.Begin(t.Context(), "adg on laptop\x1b[2J", "198.51.100.7:5")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// poll asks as early as it may.
func (d *desk) poll(t *testing.T, b Begun) (string, error) {
	t.Helper()
	d.wait(b.Interval)
	return d.Poll(t.Context(), b.DeviceCode.Reveal())
}

func want(t *testing.T, got, err error) {
	t.Helper()
	if !errors.Is(got, err) {
		t.Fatalf("got %v, want %v", got, err)
	}
}

func TestAnApprovedProgramIsToldOnceWhoItWas(t *testing.T) {
	d := newDesk(t)
	b := d.begin(t)
	if !regexp.MustCompile(`^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$`).MatchString(b.UserCode) {
		t.Errorf("the code is %q", b.UserCode)
	}
	_, err := d.poll(t, b)
	want(t, err, ErrPending)
	typed := strings.ToLower(strings.ReplaceAll(b.UserCode, "-", "  "))
	r, err := d.Pending(t.Context(), typed)
	if diff := cmp.Diff([]string{"adg on laptop·[2J", "198.51.100.7:5"}, []string{r.Client, r.From}); diff != "" || err != nil {
		t.Errorf("%s %v", diff, err)
	}
	if err := d.Approve(t.Context(), typed, ann); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Pending(t.Context(), typed); adg.CodeOf(err) != adg.NotFound {
		t.Errorf("a code that was answered is still there: %v", err)
	}
	if err := d.Deny(t.Context(), typed, ann); adg.CodeOf(err) != adg.NotFound {
		t.Errorf("a code was answered twice: %v", err)
	}
	if person, err := d.poll(t, b); person != "ann" || err != nil {
		t.Errorf("got %q, %v", person, err)
	}
	_, err = d.poll(t, b)
	want(t, err, ErrUnknown)
	entries, err := d.store.Audit(t.Context(), adg.AuditFilter{})
	if len(entries) != 1 || entries[0].Actor != "user:ann" || entries[0].Action != "login.device" || entries[0].Detail["client_from"] != "198.51.100.7:5" || err != nil {
		t.Errorf("on record: %+v, %v", entries, err)
	}
}

func TestADeniedProgramIsToldSo(t *testing.T) {
	d := newDesk(t)
	b := d.begin(t)
	if err := d.Deny(t.Context(), b.UserCode, ann); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		person, err := d.poll(t, b)
		want(t, err, ErrDenied)
		if person != "" {
			t.Errorf("got %q", person)
		}
	}
}

func TestAProgramThatAsksTooOftenIsSlowedDown(t *testing.T) {
	d := newDesk(t)
	b := d.begin(t)
	ask := func() error {
		_, err := d.Poll(t.Context(), b.DeviceCode.Reveal())
		return err
	}
	want(t, ask(), ErrPending)
	d.wait(Interval - time.Second)
	want(t, ask(), ErrSlowDown) // ten seconds from now on
	d.wait(Interval + time.Second)
	want(t, ask(), ErrSlowDown) // fifteen
	if err := d.Approve(t.Context(), b.UserCode, ann); err != nil {
		t.Fatal(err)
	}
	d.wait(2 * Interval)
	want(t, ask(), ErrSlowDown) // twenty
	d.wait(4 * Interval)
	want(t, ask(), nil)
}

func TestALoginThatNobodyAnswersExpires(t *testing.T) {
	d := newDesk(t)
	b := d.begin(t)
	d.wait(Life - 2*Interval)
	_, err := d.poll(t, b)
	want(t, err, ErrPending)
	d.wait(2 * Interval)
	if err := d.Approve(t.Context(), b.UserCode, ann); adg.CodeOf(err) != adg.NotFound {
		t.Errorf("got %v", err)
	}
	_, err = d.poll(t, b)
	want(t, err, ErrExpired)
	d.wait(Life)
	_, err = d.poll(t, b)
	want(t, err, ErrUnknown)
}

func TestAnApprovalThatIsFetchedTooLateIsExpired(t *testing.T) {
	d := newDesk(t)
	b := d.begin(t)
	if err := d.Approve(t.Context(), b.UserCode, ann); err != nil {
		t.Fatal(err)
	}
	d.wait(Life)
	_, err := d.poll(t, b)
	want(t, err, ErrExpired)
}

func TestCodesThatNobodyWasGivenAreUnknown(t *testing.T) {
	d := newDesk(t)
	b := d.begin(t)
	for _, code := range []string{"", "x", b.DeviceCode.Reveal() + "A", b.UserCode} {
		_, err := d.Poll(t.Context(), code)
		want(t, err, ErrUnknown)
	}
	for _, typed := range []string{"", "BBBB-BBBB", "аbcd", b.UserCode + "B", strings.Repeat("B", 1<<20), b.DeviceCode.Reveal()} {
		if err := d.Approve(t.Context(), typed, ann); adg.CodeOf(err) != adg.NotFound {
			t.Errorf("%.20q: %v", typed, err)
		}
	}
	if err := d.Approve(t.Context(), b.UserCode, Person{}); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("nobody approved: %v", err)
	}
}

func TestManyWhoAskAtTheSameTimeAreToldOnce(t *testing.T) {
	d := newDesk(t)
	for range 5 {
		b := d.begin(t)
		if err := d.Approve(t.Context(), b.UserCode, ann); err != nil {
			t.Fatal(err)
		}
		people := make(chan string, 6)
		var all sync.WaitGroup
		for range cap(people) {
			all.Go(func() {
				person, _ := New(d.store).Poll(t.Context(), b.DeviceCode.Reveal())
				people <- person
			})
		}
		all.Wait()
		told := 0
		for range cap(people) {
			if <-people == "ann" {
				told++
			}
		}
		if told != 1 {
			t.Errorf("%d were told", told)
		}
	}
}

func TestApprovingWhileTheProgramAsksIsNotLost(t *testing.T) {
	d := newDesk(t)
	for range 5 {
		b := d.begin(t)
		var both sync.WaitGroup
		var failed error
		both.Go(func() { failed = d.Approve(t.Context(), b.UserCode, ann) })
		both.Go(func() { _, _ = d.Poll(t.Context(), b.DeviceCode.Reveal()) })
		both.Wait()
		if failed != nil {
			t.Fatal(failed)
		}
		d.wait(4 * Interval)
		if person, err := d.poll(t, b); person != "ann" && !errors.Is(err, ErrUnknown) { // unknown: the other poll has it
			t.Errorf("got %q, %v", person, err)
		}
	}
}

func TestNoMoreThanAThousandLoginsAreOpen(t *testing.T) {
	d := newDesk(t)
	var writes []adg.Write
	for i := range maxOpen {
		key := "CODE" + string(rune('A'+i/26/26%26)) + string(rune('A'+i/26%26)) + string(rune('A'+i%26))
		writes = append(writes, adg.Write{Document: adg.Document{Kind: kindCode, Key: key, Expires: time.Now().Add(Life)}})
	}
	if _, err := d.store.WriteDocuments(t.Context(), writes); err != nil {
		t.Fatal(err)
	}
	_, err := d.Begin(t.Context(), "adg", "")
	if _, throttled := adg.RetryAfter(err); !throttled {
		t.Errorf("got %v", err)
	}
	d.wait(Life + time.Minute)
	d.begin(t)
}

func FuzzTypedCodesAreReadWithoutSurprise(f *testing.F) {
	for _, seed := range []string{"", "BCDF-GHJK", "bcdf ghjk", "ſ", strings.Repeat("B", 300), "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		code := normal(typed)
		if strings.Trim(code, codeLetters) != "" || normal(code) != code || len(code) > len(typed) {
			t.Errorf("%q was read as %q", typed, code)
		}
	})
}
