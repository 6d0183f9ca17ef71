package remote

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
)

// SignatureHeader carries the signature of what a webhook sends.
const SignatureHeader = "Adg-Signature"

// Sign is the value of the signature header for a body that is sent at that time: t=UNIX,v1=HEX, where HEX is an
// HMAC-SHA256 with the key over "UNIX.body".
func Sign(key string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key))
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac.Write([]byte(stamp + "."))
	mac.Write(body)
	return "t=" + stamp + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
