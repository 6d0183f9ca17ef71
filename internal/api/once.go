package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
)

// Private

// keyed is a request that its caller may repeat without its being done twice.
type keyed interface {
	proto.Message
	GetIdempotencyKey() string
}

const (
	kindRequest = "api_request"
	requestLife = 24 * time.Hour
	maxKey      = 128 // characters
)

// claim is a request with a key: it is written before the deed, and completed after it.
type claim struct {
	Request []byte `json:"request"` // a digest of it without what is secret
	Done    bool   `json:"done"`
	Answer  []byte `json:"answer,omitempty"` // without what is secret
}

// once does what a request asks for. If the same caller has sent the same request with the same key in the last 24
// hours, it gives the answer of then, without what is secret, and does nothing. A failure leaves the key free. What a
// server began and did not finish is a Conflict: nobody knows how far it came.
func once[A proto.Message](ctx context.Context, a *API, r keyed, do func() (A, error)) (answer A, err error) {
	if r.GetIdempotencyKey() == "" {
		return do()
	}
	if len([]rune(r.GetIdempotencyKey())) > maxKey {
		return answer, wire.Wrong("idempotency_key", "an idempotency_key has at most %d characters", maxKey)
	}
	name := string(r.ProtoReflect().Descriptor().FullName())
	key := fingerprint([]byte(caller(ctx).Subject), []byte(name), []byte(r.GetIdempotencyKey()))
	c := claim{Request: digestOf(r)}
	w, err := a.claimed(ctx, key, c)
	if adg.CodeOf(err) == adg.Conflict {
		answer, _ = answer.ProtoReflect().New().Interface().(A)
		return answer, a.repeated(ctx, key, c, answer)
	}
	if err != nil {
		return answer, err
	}
	answer, err = do()
	after := context.WithoutCancel(ctx)
	if err != nil {
		w.Drop = true
	} else {
		c.Done = true
		if c.Answer, err = proto.Marshal(withoutSecrets(answer)); err != nil {
			return answer, adg.Errorf(adg.Internal, "keep an answer: %w", err)
		}
		if w.Document.Data, err = json.Marshal(c); err != nil {
			return answer, adg.Errorf(adg.Internal, "keep an answer: %w", err)
		}
	}
	if _, failed := a.o.Store.WriteDocuments(after, []adg.Write{w}); failed != nil {
		a.o.Log.ErrorContext(ctx, "the answer to a request with a key was not kept: the same request again is refused for a day", "request", name, "error", failed)
	}
	return answer, err
}

// claimed takes the key; one that is taken is a Conflict.
func (a *API) claimed(ctx context.Context, key string, c claim) (adg.Write, error) {
	now, err := a.o.Store.Now(ctx)
	if err != nil {
		return adg.Write{}, err
	}
	data, err := json.Marshal(c)
	if err != nil {
		return adg.Write{}, adg.Errorf(adg.Internal, "keep a request: %w", err)
	}
	w := adg.Write{Document: adg.Document{Kind: kindRequest, Key: key, Data: data, Expires: now.Add(requestLife)}}
	stored, err := a.o.Store.WriteDocuments(ctx, []adg.Write{w})
	if err != nil {
		return adg.Write{}, err
	}
	w.If = stored[0].Version
	return w, nil
}

// repeated reads the answer of the first time.
func (a *API) repeated(ctx context.Context, key string, again claim, answer proto.Message) error {
	doc, err := a.o.Store.Document(ctx, kindRequest, key)
	if adg.CodeOf(err) == adg.NotFound {
		return adg.Throttled(adg.Advised(adg.Errorf(adg.Unavailable, "the same request has just failed"), "try again"), time.Second)
	}
	if err != nil {
		return err
	}
	var first claim
	if err := json.Unmarshal(doc.Data, &first); err != nil {
		return adg.Errorf(adg.Internal, "read a request: %w", err)
	}
	now, err := a.o.Store.Now(ctx)
	switch {
	case err != nil:
		return err
	case string(first.Request) != string(again.Request):
		return adg.Advised(adg.Errorf(adg.Conflict, "this idempotency key was used for another request"), "take a new key")
	case !first.Done && now.Sub(doc.Updated) <= a.o.Request:
		return adg.Throttled(adg.Errorf(adg.Unavailable, "the same request is under way"), time.Second)
	case !first.Done:
		return adg.Advised(adg.Errorf(adg.Conflict, "the same request was begun and its end is not known"), "look how it is now, and decide again with a new key")
	}
	if err := proto.Unmarshal(first.Answer, answer); err != nil {
		return adg.Errorf(adg.Internal, "read an answer: %w", err)
	}
	return nil
}

// secretFields are what is never kept of a message, nor of those in it.
var secretFields = []protoreflect.Name{"password", "current", "wanted", "secret", "secrets"}

func withoutSecrets(m proto.Message) proto.Message {
	m = proto.Clone(m)
	forgetSecrets(m.ProtoReflect())
	return m
}

func forgetSecrets(m protoreflect.Message) {
	for _, name := range secretFields {
		if f := m.Descriptor().Fields().ByName(name); f != nil {
			m.Clear(f)
		}
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.Message() != nil && !f.IsList() && !f.IsMap() {
			forgetSecrets(v.Message())
		}
		return true
	})
}

// digestOf stands for a request. A secret in it does not count, so that nobody can find it out by guessing.
func digestOf(r proto.Message) []byte {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(withoutSecrets(r))
	if err != nil {
		data = nil // it came from the wire, so it has a wire form
	}
	sum := sha256.Sum256(data)
	return sum[:]
}

func fingerprint(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		sum := sha256.Sum256(p)
		h.Write(sum[:])
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
