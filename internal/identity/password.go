package identity

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/deployguardian/adg"
)

// Argon is what hashing one password costs (argon2id).
type Argon struct {
	Memory  uint32 // KiB
	Passes  uint32
	Threads uint8
}

// DefaultArgon is 19 MiB and two passes, which takes some tens of milliseconds.
func DefaultArgon() Argon { return Argon{Memory: 19 << 10, Passes: 2, Threads: 1} }

// CheckPassword refuses a password that is too short or too close to the name. Spaces and any writing are welcome.
func CheckPassword(name, password string) error {
	beside := password
	if len(name) > 2 {
		beside = strings.ReplaceAll(strings.ToLower(password), name, "")
	}
	switch {
	case !utf8.ValidString(password) || len(password) > maxPassword:
		return adg.Errorf(adg.Invalid, "a password is text of at most %d bytes", maxPassword)
	case utf8.RuneCountInString(password) < minPassword:
		return adg.Errorf(adg.Invalid, "this password is too short: use at least %d characters, such as four or five words", minPassword)
	case utf8.RuneCountInString(beside) < minPassword:
		return adg.Errorf(adg.Invalid, "this password consists of the user name: use at least %d characters beside it", minPassword)
	default:
		return nil
	}
}

// Private

const (
	minPassword = 12   // characters
	maxPassword = 1024 // bytes
	atOnce      = 4    // passwords that are hashed at the same time, each with its memory
	saltBytes   = 16
	keyBytes    = 32
)

// hasher hashes passwords, few at a time. It is safe for concurrent use.
type hasher struct {
	cost  Argon
	turns chan struct{}
	decoy phc // what the password of an unknown user is compared with
}

func newHasher(cost Argon) (*hasher, error) {
	if cost == (Argon{}) {
		cost = DefaultArgon()
	}
	if err := cost.validate(); err != nil {
		return nil, err
	}
	h := &hasher{cost: cost, turns: make(chan struct{}, atOnce)}
	h.decoy = phc{cost: cost, salt: randomBytes(saltBytes), key: randomBytes(keyBytes)}
	return h, nil
}

// hash gives the password's PHC string. It waits for its turn as long as the context lasts.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	p := phc{cost: h.cost, salt: randomBytes(saltBytes), key: make([]byte, keyBytes)}
	key, err := h.derive(ctx, p, password)
	if err != nil {
		return "", err
	}
	p.key = key
	return p.String(), nil
}

// verify compares a password with a PHC string; an empty one takes as long and never fits. A string that was made with
// other parameters than today's is outdated.
func (h *hasher) verify(ctx context.Context, stored, password string) (fits, outdated bool, err error) {
	p := h.decoy
	if stored != "" {
		if p, err = parsePHC(stored); err != nil {
			return false, false, err
		}
	}
	key, err := h.derive(ctx, p, password)
	if err != nil {
		return false, false, err
	}
	fits = subtle.ConstantTimeCompare(key, p.key) == 1 && stored != ""
	return fits, fits && p.cost != h.cost, nil
}

func (h *hasher) derive(ctx context.Context, p phc, password string) ([]byte, error) {
	select {
	case h.turns <- struct{}{}:
		defer func() { <-h.turns }()
	case <-ctx.Done():
		return nil, adg.Errorf(adg.Unavailable, "too many logins at the same time, try again: %w", context.Cause(ctx))
	}
	return argon2.IDKey([]byte(password), p.salt, p.cost.Passes, p.cost.Memory, p.cost.Threads, uint32(len(p.key))), nil
}

func (a Argon) validate() error {
	if a.Memory < 8*uint32(max(a.Threads, 1)) || a.Memory > 1<<20 || a.Passes < 1 || a.Passes > 64 || a.Threads < 1 || a.Threads > 16 {
		return adg.Errorf(adg.Invalid, "argon2id with %d KiB, %d passes and %d threads: use up to 1048576 KiB (8 a thread at least), 1 to 64 passes, 1 to 16 threads", a.Memory, a.Passes, a.Threads)
	}
	return nil
}

// phc is a hashed password: $argon2id$v=19$m=19456,t=2,p=1$SALT$KEY.
type phc struct {
	cost Argon
	salt []byte
	key  []byte
}

// String is the text as it is stored.
func (p phc) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.cost.Memory, p.cost.Passes, p.cost.Threads,
		base64.RawStdEncoding.EncodeToString(p.salt), base64.RawStdEncoding.EncodeToString(p.key))
}

// parsePHC reads what String writes, and nothing else.
func parsePHC(text string) (phc, error) {
	p := phc{}
	parts := strings.Split(text, "$")
	if len(parts) != 6 {
		return p, errPHC
	}
	version := 0
	_, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &p.cost.Memory, &p.cost.Passes, &p.cost.Threads)
	salt, badSalt := base64.RawStdEncoding.Strict().DecodeString(parts[4])
	key, badKey := base64.RawStdEncoding.Strict().DecodeString(parts[5])
	p.salt, p.key = salt, key
	if errors.Join(err, badSalt, badKey, p.cost.validate()) != nil || len(salt) < 8 || len(salt) > 64 || len(key) < 16 || len(key) > 64 || p.String() != text {
		return phc{}, errPHC
	}
	return p, nil
}

// errPHC does not repeat what it refuses.
var errPHC = adg.Errorf(adg.Internal, "the stored password is not in the format of argon2id: set a new one")

func randomBytes(n int) []byte {
	random := make([]byte, n)
	_, _ = rand.Read(random) // never fails: the process ends where there is no randomness
	return random
}
