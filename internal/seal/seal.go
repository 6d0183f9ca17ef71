// Package seal makes secrets unreadable in the database: each is encrypted with a key of its own, which is wrapped by
// a key that the database never sees, and opens in the row that it was sealed for and in no other.
//
// A sealed value is text: adg.sealed.v1:KEY:DATA. KEY is the id of the wrapping key. DATA is unpadded URL-safe base64
// of the length of the wrapped data key (two bytes, big endian), the wrapped data key, and the secret under AES-256-GCM,
// nonce first. What the encryption vouches for beside the secret is the version, KEY, and the kind and key of the row.
package seal

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"regexp"
	"strings"

	"github.com/deployguardian/adg"
)

// MaxSecret is how long a secret may be, in bytes.
const MaxSecret = 64 << 10

// Place is where a secret stands: the kind of the record, and its key within the kind. Neither is secret.
type Place struct {
	Kind string // at most 64 bytes, as in connection
	Key  string // at most 512 bytes, as in prometheus/password
}

// Key wraps the keys of single secrets. Implementations are safe for concurrent use.
type Key interface {
	// ID names the key that Wrap uses: 1 to 128 letters, digits, dots, dashes and underscores. It tells nothing about the key.
	ID() string
	// Opens tells whether Unwrap knows the key of that id.
	Opens(id string) bool
	// Wrap encrypts a data key. A key that is kept elsewhere may be Unavailable for a while.
	Wrap(ctx context.Context, dataKey []byte) ([]byte, error)
	// Unwrap gives the data key back that was wrapped by the key of that id; a wrapped key that was changed is Invalid.
	Unwrap(ctx context.Context, id string, wrapped []byte) ([]byte, error)
}

// IsSealed tells whether a text claims to be a sealed value.
func IsSealed(text string) bool { return strings.HasPrefix(text, prefix) }

// Private

const (
	prefix     = "adg.sealed.v1:"
	keyBytes   = 32
	maxWrapped = 4 << 10
	maxSealed  = len(prefix) + 128 + 1 + (2+maxWrapped+MaxSecret+64)*4/3 + 4
)

var keyID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// envelope is a sealed value, taken apart.
type envelope struct {
	key     string // id of the wrapping key
	wrapped []byte
	box     []byte // nonce, ciphertext, tag
}

var encoding = base64.RawURLEncoding.Strict()

func (e envelope) String() string {
	data := binary.BigEndian.AppendUint16(nil, uint16(len(e.wrapped))) // at most maxWrapped
	data = append(append(data, e.wrapped...), e.box...)
	return prefix + e.key + ":" + encoding.EncodeToString(data)
}

// parse takes a sealed value apart. There is one way to write each, so that nothing can be changed in it unnoticed.
func parse(sealed string) (envelope, error) {
	malformed := func(why string) (envelope, error) {
		return envelope{}, adg.Permanent(adg.Errorf(adg.Invalid, "this is no sealed value: %s", why))
	}
	if len(sealed) > maxSealed {
		return malformed("it is longer than any can be")
	}
	rest, found := strings.CutPrefix(sealed, prefix)
	id, text, parted := strings.Cut(rest, ":")
	if !found || !parted || !keyID.MatchString(id) {
		return malformed("it is not written as " + prefix + "KEY:DATA")
	}
	data, err := encoding.DecodeString(text)
	if err != nil || encoding.EncodeToString(data) != text {
		return malformed("its data is no base64")
	}
	if len(data) < 2 {
		return malformed("it ends early")
	}
	n := int(binary.BigEndian.Uint16(data))
	if n == 0 || n > maxWrapped || len(data) < 2+n+overhead {
		return malformed("its parts do not fit together")
	}
	return envelope{key: id, wrapped: data[2 : 2+n], box: data[2+n:]}, nil
}

// overhead is how much longer than the secret its box is: nonce and tag.
const overhead = 12 + 16

// bound is what the encryption of a secret vouches for beside it. Lengths keep the parts apart.
func (p Place) bound(id string) []byte {
	var made []byte
	for _, part := range []string{prefix, id, p.Kind, p.Key} {
		made = binary.BigEndian.AppendUint32(made, uint32(len(part)))
		made = append(made, part...)
	}
	return made
}

func (p Place) check() error {
	if p.Kind == "" || len(p.Kind) > 64 || p.Key == "" || len(p.Key) > 512 {
		return adg.Errorf(adg.Invalid, "a secret is sealed for a kind of 1 to 64 bytes and a key of 1 to 512, not for %d and %d", len(p.Kind), len(p.Key))
	}
	return nil
}

// gcm makes AES-256-GCM of a key of the right length.
func gcm(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func random() []byte {
	key := make([]byte, keyBytes)
	_, _ = rand.Read(key) // never fails: the process ends rather
	return key
}
