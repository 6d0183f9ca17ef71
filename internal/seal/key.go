package seal

import (
	"context"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/deployguardian/adg"
)

// NewKey makes a key as files and variables hold it: 32 random bytes in 64 hexadecimal digits.
func NewKey() string {
	key := random()
	defer clear(key)
	return hex.EncodeToString(key)
}

// ParseKey reads a key: 32 bytes as 64 hexadecimal digits or as base64, space around it apart. The error tells
// nothing of the text.
func ParseKey(text adg.Secret) (Key, error) {
	raw := decodeKey(strings.TrimSpace(text.Reveal()))
	defer clear(raw)
	if len(raw) != keyBytes {
		return nil, adg.Errorf(adg.Invalid, "this is no key: a key is 32 random bytes, as 64 hexadecimal digits or as base64; make one with 'adg key new'")
	}
	if monotonous(raw) {
		return nil, adg.Errorf(adg.Invalid, "this key is not random: make one with 'adg key new'")
	}
	box, err := gcm(raw)
	if err != nil {
		return nil, adg.Errorf(adg.Internal, "making a cipher: %w", err)
	}
	sum := sha256.Sum256(append([]byte("adg key id\x00"), raw...))
	return local{id: "k" + hex.EncodeToString(sum[:8]), box: &box}, nil
}

// FileKey reads a key from a file that only its owner may read.
func FileKey(path string) (Key, error) {
	text, err := readOwn(path)
	defer clear(text)
	if err != nil {
		return nil, err
	}
	key, err := ParseKey(adg.NewSecret(string(text)))
	if err != nil {
		return nil, adg.Errorf(adg.Invalid, "the key in %s: %w", path, err)
	}
	return key, nil
}

// Private

// local is a key that this process holds. It keeps the cipher, not the key.
type local struct {
	id  string
	box *cipher.AEAD // a pointer, because fmt prints what is in unexported fields of others' structs without asking
}

func (l local) ID() string           { return l.id }
func (l local) Opens(id string) bool { return id == l.id }
func (l local) bound() []byte        { return []byte("adg data key\x00" + l.id) }

func (l local) Wrap(_ context.Context, dataKey []byte) ([]byte, error) {
	return (*l.box).Seal(nil, nil, dataKey, l.bound()), nil
}

func (l local) Unwrap(_ context.Context, _ string, wrapped []byte) ([]byte, error) {
	dataKey, err := (*l.box).Open(nil, nil, wrapped, l.bound())
	if err != nil {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "unwrapping a data key: %w", err))
	}
	return dataKey, nil
}

// Format shows the id and nothing else.
func (l local) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "key "+l.id) }

func decodeKey(text string) []byte {
	if raw, err := hex.DecodeString(text); err == nil {
		return raw
	}
	text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	raw, err := base64.RawStdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil
	}
	return raw
}

// monotonous tells a placeholder, such as a row of zeros, from 32 random bytes, of which fewer than 16 different ones
// never come in practice.
func monotonous(key []byte) bool {
	seen := map[byte]bool{}
	for _, b := range key {
		seen[b] = true
	}
	return len(seen) < 16
}

// maxKeyFile is how large the file of a key or token may be.
const maxKeyFile = 8 << 10

// readOwn reads a small regular file that nobody but its owner has a right to.
func readOwn(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, adg.Errorf(adg.Invalid, "reading a key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, adg.Errorf(adg.Invalid, "reading a key: %w", err)
	case !info.Mode().IsRegular():
		return nil, adg.Errorf(adg.Invalid, "reading a key: %s is no regular file", path)
	case info.Mode().Perm()&0o077 != 0:
		return nil, adg.Errorf(adg.Invalid, "reading a key: others than its owner have rights to %s (mode %#o): chmod 600 it", path, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err == nil && len(text) > maxKeyFile {
		err = errors.New("it is larger than 8 KiB: that is no key")
	}
	if err != nil {
		return nil, adg.Errorf(adg.Invalid, "reading a key: %s: %w", path, err)
	}
	return text, nil
}
