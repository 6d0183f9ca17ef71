package adg

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
)

// Via is how somebody asked for something: it stands in the audit log under this word, and in facts.
const Via = "via"

// Person stands in the audit log under this word: who is behind the token that was used.
const Person = "person"

// The ways in. What a program calls itself is its own word; nothing is allowed because of it.
const (
	ViaREST      = "rest"
	ViaGRPC      = "grpc"
	ViaCLI       = "cli"
	ViaDashboard = "dashboard"
	ViaWebhook   = "webhook"
	ViaBroker    = "broker"
)

// Fact is what people are told of something that was done beside the deployments; false where they are not told of it,
// or it was not done. It is stored in the transaction of the change, and its id is made of the entry's number.
func (e AuditEntry) Fact() (Fact, bool) {
	sentence, told := changes[e.Action]
	if !told || e.Outcome != AuditDone {
		return Fact{}, false
	}
	_, name, _ := strings.Cut(e.Resource, "/")
	f := Fact{
		ID: fmt.Sprintf("audit/%d", e.Seq), Kind: FactChanged, At: e.At, Service: e.Service, Environment: e.Environment,
		Text: strings.NewReplacer("NAME", name, "ROLE", e.Detail["role"], "PLACE", e.place()).Replace(sentence), Actor: cmp.Or(e.Detail[Person], strings.TrimPrefix(e.Actor, "user:")),
		Action: e.Action, Resource: e.Resource, Via: e.Detail[Via],
	}
	if e.Reason != "" {
		f.Reasons = []string{e.Reason}
	}
	return f, true
}

// UnmarshalJSON reads a fact. Of a kind that only a newer version knows it is FactNone: its sentence is told all the same.
func (f *Fact) UnmarshalJSON(text []byte) error {
	type plain Fact
	return json.Unmarshal(text, &struct {
		*plain
		Kind *known `json:"kind"`
	}{(*plain)(f), (*known)(&f.Kind)})
}

// With is the entry with one more detail, whose map it shares with no other; an empty value is none.
func (e AuditEntry) With(name, value string) AuditEntry {
	if value == "" {
		return e
	}
	detail := map[string]string{name: value}
	for k, v := range e.Detail {
		if k != name {
			detail[k] = v
		}
	}
	e.Detail = detail
	return e
}

// Private

// changes are what people are told of, by the action. Deployments and what is decided in them tell of themselves.
var changes = map[string]string{
	"hold.put": "release NAME of PLACE was put on hold", "hold.lift": "the hold on release NAME of PLACE was lifted",
	"release.mark": "release NAME of PLACE was marked good",
	"stop.put":     "the line was stopped for PLACE", "stop.drop": "the stop of the line for PLACE was ended",
	"freeze.put": "the freeze window NAME for PLACE was set", "freeze.drop": "the freeze window NAME for PLACE was dropped",
	"policy.put": "a new version of the policy of PLACE was stored", "policy.approve": "a version of the policy of PLACE was approved",
	"connection.put": "the connection NAME was stored", "connection.drop": "the connection NAME was dropped",
	"service.update": "what is known of the service NAME was changed",
	"user.create":    "the user NAME was made", "user.update": "the user NAME was changed",
	"user.remove": "the user NAME was removed", "user.password": "the user NAME has a new password",
	"token.create": "the token NAME was made", "token.revoke": "the token NAME was revoked",
	"role.grant": "NAME was given the role ROLE for PLACE", "role.revoke": "the role ROLE for PLACE was taken from NAME",
}

// known is the kind of a fact, as far as this version knows it.
type known FactKind

// UnmarshalText never fails.
func (k *known) UnmarshalText(text []byte) error {
	if (*FactKind)(k).UnmarshalText(text) != nil {
		*k = known(FactNone)
	}
	return nil
}

// place is the scope of the entry in words.
func (e AuditEntry) place() string {
	service, environment := e.Service, e.Environment
	if service == "" || service == "*" {
		service = "all services"
	}
	if environment == "" || environment == "*" {
		return service + " in all environments"
	}
	return service + " in " + environment
}
