package identity

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"hash/crc32"
	"strings"

	"github.com/deployguardian/adg"
)

// CheckCredential refuses what is no credential of ours, or a mistyped one, without asking the store.
func CheckCredential(text string) error {
	_, err := parseCredential(text)
	return err
}

// Private

// A credential reads PREFIX_ID_SECRET: the id finds the record, and the secret is 32 random bytes and a checksum of all
// that stands before it, in small letters and digits. The record holds a digest of the whole text.
type credential struct {
	prefix string
	id     string
	text   string
}

const (
	tokenPrefix     = "adg"
	sessionPrefix   = "adgsession"
	bootstrapPrefix = "adgfirst"

	idBytes     = 8
	secretBytes = 32
	checkDigits = 7 // of the 32 bits of the checksum
)

var (
	letters      = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	secretDigits = letters.EncodedLen(secretBytes) + checkDigits
)

func newCredential(prefix string) credential {
	c := credential{prefix: prefix, id: randomText(idBytes)}
	text := prefix + "_" + c.id + "_" + randomText(secretBytes)
	c.text = text + checksum(text)
	return c
}

func parseCredential(text string) (credential, error) {
	prefix, rest, _ := strings.Cut(text, "_")
	id, secret, _ := strings.Cut(rest, "_")
	known := prefix == tokenPrefix || prefix == sessionPrefix || prefix == bootstrapPrefix
	if !known || !idAlphabet.MatchString(id) || len(secret) != secretDigits {
		return credential{}, adg.Errorf(adg.Unauthorized, "this is no token of adg: one reads adg_ID_SECRET and has %d characters", len(tokenPrefix)+2+letters.EncodedLen(idBytes)+secretDigits)
	}
	body := text[:len(text)-checkDigits]
	if checksum(body) != text[len(body):] {
		return credential{}, adg.Advised(adg.Errorf(adg.Unauthorized, "the token %s_%s is mistyped or cut off, its checksum is not right", prefix, id), "copy it again")
	}
	return credential{prefix: prefix, id: id, text: text}, nil
}

// digest is what the store keeps. A plain hash is enough, because nobody guesses 32 random bytes.
func (c credential) digest() []byte {
	sum := sha256.Sum256([]byte(c.text))
	return sum[:]
}

// is tells in constant time whether the digest is of this credential.
func (c credential) is(digest []byte) bool {
	return subtle.ConstantTimeCompare(c.digest(), digest) == 1
}

func checksum(text string) string {
	return letters.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(text))))
}

func randomText(bytes int) string { return letters.EncodeToString(randomBytes(bytes)) }
