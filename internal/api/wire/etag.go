package wire

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/deployguardian/adg"
)

// Etag stands for a version of what the store counts the versions of.
func Etag(version int64) string { return etagMark + strconv.FormatInt(version, 10) }

// ReadEtag is the version that an etag stands for; empty says what an empty etag stands for, such as adg.AnyVersion. An
// etag that Etag did not make is Invalid.
func ReadEtag(etag string, empty int64) (int64, error) {
	if etag == "" {
		return empty, nil
	}
	number, found := strings.CutPrefix(etag, etagMark)
	version, err := strconv.ParseInt(number, 10, 64)
	if !found || err != nil || version < 0 || Etag(version) != etag {
		return 0, Wrong("etag", "%.60q is no etag: send the one that came with what was looked at", etag)
	}
	return version, nil
}

// DeploymentEtag changes with every change of state, step, phase or approval, and with nothing else: a command that
// was given for one is not for another. It is compared and never read.
func DeploymentEtag(d adg.Deployment) string {
	s := d.Status
	asked := !s.Asked.IsZero()
	return digest(d.ID, s.State.String(), moment(s.Since), strconv.Itoa(s.Step), strconv.Itoa(s.Phase), s.Approved, strconv.FormatBool(asked))
}

// HoldEtag changes with every change of a hold. It is compared and never read.
func HoldEtag(h adg.ReleaseHold) string {
	return digest(h.Service, h.Environment, h.Identity, h.Reason, h.Actor, moment(h.Since), moment(h.Until), h.Suspended)
}

// StopEtag changes with every change of a stop. It is compared and never read.
func StopEtag(s adg.Stop) string {
	return digest(s.Service, s.Environment, s.Actor, s.Reason, moment(s.At))
}

// DeliveryID names a delivery: its fact and its notifier.
func DeliveryID(d adg.Delivery) string {
	return base64.RawURLEncoding.EncodeToString([]byte(d.Notifier + "/" + d.Fact.ID))
}

// ReadDeliveryID is the notifier and the id of the fact that DeliveryID was made of; anything else is Invalid.
func ReadDeliveryID(id string) (notifier, fact string, err error) {
	plain, err := strictBase64.DecodeString(id)
	notifier, fact, found := strings.Cut(string(plain), "/")
	if err != nil || len(id) > maxToken || !found || adg.ValidName("notifier", notifier) != nil || fact == "" || !utf8.Valid(plain) {
		return "", "", Wrong("id", "%.60q is no id of a delivery: use one from the list of dead deliveries", id)
	}
	return notifier, fact, nil
}

// Private

const etagMark = "v"

// strictBase64 decodes what it encodes and nothing else.
var strictBase64 = base64.RawURLEncoding.Strict()

// digest stands for words, in order.
func digest(words ...string) string {
	h := sha256.New()
	for _, w := range words {
		h.Write(binary.AppendUvarint(nil, uint64(len(w))))
		h.Write([]byte(w))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:15])
}

// moment is a time as every store gives it back: to the microsecond.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.UnixMicro(), 10)
}
