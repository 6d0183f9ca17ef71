// Package device logs programs in that have no browser: the program shows a short code, a person who is logged in types
// it elsewhere and approves, and the program, which asks again and again, is told once who that was. The words are those
// of RFC 8628.
package device

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"time"
	"unicode"

	"github.com/deployguardian/adg"
)

// The answers to a program that asks whether it was approved; RFC 8628 has the same in its section 3.5.
var (
	ErrPending  = &adg.Error{Code: adg.Unauthorized, Message: "authorization_pending: nobody has approved the login yet"}
	ErrSlowDown = &adg.Error{Code: adg.Unauthorized, Message: "slow_down: ask less often, five seconds more between two questions"}
	ErrDenied   = &adg.Error{Code: adg.Unauthorized, Message: "access_denied: the login was refused"}
	ErrExpired  = &adg.Error{Code: adg.Unauthorized, Message: "expired_token: nobody has approved the login in time, begin again"}
	ErrUnknown  = &adg.Error{Code: adg.Unauthorized, Message: "invalid_grant: this login is not known, or was finished already"}
)

// Life is how long a person has for approving, Interval how long a program waits between two questions at first.
const (
	Life     = 10 * time.Minute
	Interval = 5 * time.Second
)

// Store is what a flow needs of the store.
type Store interface {
	adg.Documents
	adg.Clock
}

// Flow keeps the logins that were begun. It is safe for concurrent use, and replicas share it through the store.
type Flow struct{ store Store }

// New makes a flow on a store.
func New(store Store) *Flow { return &Flow{store} }

// Begun is what a program needs for its login.
type Begun struct {
	DeviceCode adg.Secret // for asking
	UserCode   string     // for the person, such as BCDF-GHJK
	Expires    time.Time
	Interval   time.Duration
}

// Request is what a person sees before he approves: whether that is his own program he has to know himself.
type Request struct {
	Client string // what the program said it is
	From   string // the address that it asked from
	Begun  time.Time
}

// Person is who approves or denies, and from which address.
type Person struct {
	Name string
	From string
}

// Begin begins a login. At most 1,000 are open at a time; more are adg.Throttled.
func (f *Flow) Begin(ctx context.Context, client, from string) (Begun, error) {
	now, err := f.store.Now(ctx)
	if err != nil {
		return Begun{}, err
	}
	open, err := f.store.ListDocuments(ctx, adg.DocumentFilter{Kind: kindCode, Bare: true, Limit: maxOpen})
	if err != nil {
		return Begun{}, err
	}
	if len(open) >= maxOpen {
		return Begun{}, adg.Throttled(adg.Advised(adg.Errorf(adg.Unavailable, "too many logins were begun and not finished"), "try again in a minute"), time.Minute)
	}
	code := rand.Text() + rand.Text()
	l := login{UserCode: userCode(), Client: clipped(client), From: clipped(from), Begun: now, Expires: now.Add(Life), Interval: Interval}
	index, err := json.Marshal(keyOf(code))
	if err != nil {
		return Begun{}, adg.Errorf(adg.Internal, "begin a login: %w", err)
	}
	writes := []adg.Write{l.write(keyOf(code), 0), {Document: adg.Document{Kind: kindCode, Key: l.UserCode, Data: index, Expires: l.Expires}}}
	if _, err := f.store.WriteDocuments(ctx, writes); err != nil {
		return Begun{}, err
	}
	return Begun{DeviceCode: adg.NewSecret(code), UserCode: l.UserCode[:4] + "-" + l.UserCode[4:], Expires: l.Expires, Interval: Interval}, nil
}

// Pending is the request of a user code, as typed by a person; NotFound if there is none, or it was answered.
func (f *Flow) Pending(ctx context.Context, typed string) (Request, error) {
	_, l, _, err := f.pending(ctx, typed)
	return Request{Client: l.Client, From: l.From, Begun: l.Begun}, err
}

// Asked is the request of a device code, answered or not; ErrUnknown if there is none.
func (f *Flow) Asked(ctx context.Context, deviceCode string) (Request, error) {
	l, _, err := f.load(ctx, keyOf(deviceCode))
	if adg.CodeOf(err) == adg.NotFound {
		return Request{}, ErrUnknown
	}
	return Request{Client: l.Client, From: l.From, Begun: l.Begun}, err
}

// Approve lets the program with that user code in as the person. Each code is answered once.
func (f *Flow) Approve(ctx context.Context, typed string, by Person) error {
	return f.answer(ctx, typed, by, approved)
}

// Deny refuses the program with that user code.
func (f *Flow) Deny(ctx context.Context, typed string, by Person) error {
	return f.answer(ctx, typed, by, denied)
}

// Poll is the name of the person who approved, once; until then one of the errors above. A program that asks before its
// interval is over is told to slow down, even if it was approved.
func (f *Flow) Poll(ctx context.Context, deviceCode string) (person string, err error) {
	key := keyOf(deviceCode)
	l, version, err := f.load(ctx, key)
	if adg.CodeOf(err) == adg.NotFound {
		return "", ErrUnknown
	}
	if err != nil {
		return "", err
	}
	now, err := f.store.Now(ctx)
	if err != nil {
		return "", err
	}
	answer := ErrPending
	early := !l.Polled.IsZero() && now.Sub(l.Polled) < l.Interval
	l.Polled = now
	w := l.write(key, version)
	switch {
	case !now.Before(l.Expires):
		return "", ErrExpired
	case early:
		l.Interval += Interval
		answer, w = ErrSlowDown, l.write(key, version)
	case l.State == denied:
		return "", ErrDenied
	case l.State == approved:
		answer, w.Drop = nil, true
	}
	_, err = f.store.WriteDocuments(ctx, []adg.Write{w})
	switch {
	case adg.CodeOf(err) == adg.Conflict && answer == nil:
		return "", ErrUnknown // another poll has it
	case adg.CodeOf(err) == adg.Conflict:
		return "", ErrPending // it was answered just now: the next poll sees it
	case err != nil:
		return "", err
	case answer != nil:
		return "", answer
	default:
		return l.Person, nil
	}
}

// Private

const (
	kindLogin = "device_login"
	kindCode  = "device_code"
	maxOpen   = 1000
	maxText   = 200

	codeLetters = "BCDFGHJKLMNPQRSTVWXZ" // no vowels, so that no code is a word
	codeLength  = 8
)

type state string

const (
	waiting  state = ""
	approved state = "approved"
	denied   state = "denied"
)

// login is one that was begun. Its key is the digest of the device code, and its user code leads to the key.
type login struct {
	UserCode string        `json:"user_code"`
	Client   string        `json:"client"`
	From     string        `json:"from"`
	Begun    time.Time     `json:"begun"`
	Expires  time.Time     `json:"expires"`
	Interval time.Duration `json:"interval"`
	Polled   time.Time     `json:"polled,omitzero"`
	State    state         `json:"state,omitempty"`
	Person   string        `json:"person,omitempty"`
}

// write keeps the record for a while after it expired, so that a late program is told so.
func (l login) write(key string, version int64) adg.Write {
	data, err := json.Marshal(l)
	if err != nil {
		panic("device: a login has no JSON: " + err.Error()) // strings and times always have
	}
	return adg.Write{Document: adg.Document{Kind: kindLogin, Key: key, Data: data, Expires: l.Expires.Add(Life)}, If: version}
}

func (f *Flow) load(ctx context.Context, key string) (l login, version int64, err error) {
	doc, err := f.store.Document(ctx, kindLogin, key)
	if err != nil {
		return l, 0, err
	}
	if err := json.Unmarshal(doc.Data, &l); err != nil {
		return l, 0, adg.Errorf(adg.Internal, "read a login: %w", err)
	}
	return l, doc.Version, nil
}

// pending finds the login of a user code that nobody has answered.
func (f *Flow) pending(ctx context.Context, typed string) (key string, l login, version int64, err error) {
	none := adg.Advised(adg.Errorf(adg.NotFound, "there is no login with this code"), "type it as the program shows it, or begin again after %v", adg.Short(Life))
	code := normal(typed)
	if len(code) != codeLength {
		return "", login{}, 0, none
	}
	doc, err := f.store.Document(ctx, kindCode, code)
	if err == nil {
		if err := json.Unmarshal(doc.Data, &key); err != nil {
			return "", login{}, 0, adg.Errorf(adg.Internal, "read the code of a login: %w", err)
		}
		l, version, err = f.load(ctx, key)
	}
	switch {
	case adg.CodeOf(err) == adg.NotFound:
		return "", login{}, 0, none
	case err != nil:
		return "", login{}, 0, err
	case l.State != waiting || subtle.ConstantTimeCompare([]byte(l.UserCode), []byte(code)) != 1:
		return "", login{}, 0, none
	}
	return key, l, version, nil
}

func (f *Flow) answer(ctx context.Context, typed string, by Person, to state) error {
	if by.Name == "" {
		return adg.Errorf(adg.Invalid, "a login is answered by a person")
	}
	for range 20 { // the program keeps asking, which changes the record, too
		key, l, version, err := f.pending(ctx, typed)
		if err != nil {
			return err
		}
		l.State, l.Person = to, by.Name
		e := adg.AuditEntry{Actor: "user:" + by.Name, From: by.From, Action: "login.device", Resource: "device/" + l.UserCode, Outcome: adg.AuditDone,
			Detail: map[string]string{"client": l.Client, "client_from": l.From}}
		if to == denied {
			e.Outcome, e.Reason = adg.AuditDenied, "the person refused it"
		}
		index := adg.Write{Document: adg.Document{Kind: kindCode, Key: l.UserCode}, If: adg.AnyVersion, Drop: true}
		_, err = f.store.WriteDocuments(ctx, []adg.Write{l.write(key, version), index}, e)
		if adg.CodeOf(err) != adg.Conflict {
			return err
		}
	}
	return adg.Throttled(adg.Advised(adg.Errorf(adg.Unavailable, "the login keeps changing"), "try again"), time.Second)
}

func keyOf(deviceCode string) string {
	sum := sha256.Sum256([]byte(deviceCode))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func userCode() string {
	code := make([]byte, codeLength)
	for i := range code {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(codeLetters))))
		if err != nil {
			panic("device: no randomness: " + err.Error()) // crypto/rand ends the process before that
		}
		code[i] = codeLetters[n.Int64()]
	}
	return string(code)
}

// normal is a user code as it was meant: without regard to case, hyphens and spaces.
func normal(typed string) string {
	if len(typed) > maxText {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if r = unicode.ToUpper(r); strings.ContainsRune(codeLetters, r) {
			return r
		}
		return -1
	}, typed)
}

func clipped(text string) string {
	text = adg.Printable(text)
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "")
	}
	return text
}
