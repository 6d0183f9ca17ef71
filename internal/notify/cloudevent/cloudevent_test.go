package cloudevent_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/notify/cloudevent"
	"github.com/deployguardian/adg/internal/notify/notifytest"
)

// schema says what the CloudEvents specification 1.0.2 (context attributes, and the JSON event format) demands of an
// event with JSON data; written from its text.
const schema = `{
  "type": "object",
  "required": ["id", "source", "specversion", "type"],
  "properties": {
    "id": {"type": "string", "minLength": 1},
    "source": {"type": "string", "format": "uri-reference", "minLength": 1},
    "specversion": {"const": "1.0"},
    "type": {"type": "string", "minLength": 1},
    "datacontenttype": {"type": "string", "pattern": "^[^/]+/[^/]+$"},
    "subject": {"type": "string", "minLength": 1},
    "time": {"type": "string", "format": "date-time"},
    "data": {"type": "object"}
  },
  "propertyNames": {"pattern": "^[a-z0-9]+$"},
  "not": {"required": ["data_base64"]}
}`

func TestEveryKindOfFactIsAValidCloudEvent(t *testing.T) {
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("event.json", document); err != nil {
		t.Fatal(err)
	}
	valid := compiler.MustCompile("event.json")
	for kind := adg.FactStarted; kind <= adg.FactChanged; kind++ {
		f := notifytest.Fact()
		f.Kind = kind
		text, err := cloudevent.Encode(f, "/adg/bus")
		if err != nil {
			t.Fatal(err)
		}
		instance, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		if err := valid.Validate(instance); err != nil {
			t.Errorf("%s: %v\n%s", kind, err, text)
		}
	}
	if err := valid.Validate(map[string]any{"id": "1"}); err == nil {
		t.Error("the schema takes anything")
	}
}

func TestEventHasTheFactsIDTimeAndDeployment(t *testing.T) {
	f := notifytest.Fact()
	f.At = f.At.In(time.FixedZone("east", 3600))
	text, err := cloudevent.Encode(f, "/adg/bus")
	if err != nil {
		t.Fatal(err)
	}
	e, err := cloudevent.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	data := e.Data
	e.Data = nil
	want := cloudevent.Event{
		SpecVersion: "1.0", ID: f.ID, Source: "/adg/bus", Type: "io.github.deployguardian.adg.rolled_back.v1", Subject: "shop-v2-abc",
		Time: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), DataContentType: "application/json",
	}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Error(diff)
	}
	var told adg.Fact
	if err := json.Unmarshal(data, &told); err != nil || told.Release != "v2" || strings.ContainsAny(told.Text, "\x1b\u202e") {
		t.Errorf("%+v %v", told, err)
	}
}

func TestEventOfAChangeIsAboutWhatWasChanged(t *testing.T) {
	f := adg.Fact{ID: "audit/7", Kind: adg.FactChanged, Action: "user.create", Resource: "user/bob\x1b", Actor: "user:ann"}
	e, err := cloudevent.Of(f, "/adg/bus")
	if err != nil {
		t.Fatal(err)
	}
	if e.Subject == "" || !strings.HasPrefix(e.Subject, "user/bob") || strings.Contains(e.Subject, "\x1b") || e.Type != "io.github.deployguardian.adg.changed.v1" {
		t.Errorf("%+v", e)
	}
	if topic := cloudevent.Topic(f); topic != "-.-.changed" {
		t.Error(topic)
	}
}

func TestNoNameCanPoseAsAnotherOnesTopic(t *testing.T) {
	if got := cloudevent.Topic(adg.Fact{Service: "shop", Environment: "production", Kind: adg.FactBlind}); got != "shop.production.blind" {
		t.Errorf("got %s", got)
	}
	topics := map[string]string{}
	for _, name := range []string{"a.b", "a_b", "a-b", "a%2Eb", "a*b", "a b", "a>b", "ab"} {
		topic := cloudevent.Topic(adg.Fact{Service: name, Environment: "e", Kind: adg.FactBlind})
		if other, taken := topics[topic]; taken {
			t.Errorf("%q and %q have the topic %s", name, other, topic)
		}
		topics[topic] = name
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.StringMatching(`[ab.*>#%_-]{0,4}`), rapid.String())
		draw := func(label string) adg.Fact {
			return adg.Fact{Service: name.Draw(t, label+" service"), Environment: name.Draw(t, label+" environment"), Kind: adg.FactBlind}
		}
		a, b := draw("a"), draw("b")
		topic := cloudevent.Topic(a)
		if strings.ContainsAny(topic, "*># \t\r\n") || strings.Count(topic, ".") != 2 || strings.Contains("."+topic+".", "..") {
			t.Errorf("topic %q", topic)
		}
		same := a.Service == b.Service && a.Environment == b.Environment
		empty := a.Service == "" || a.Environment == "" || b.Service == "" || b.Environment == "" // which "-" stands for, as no name may
		if !empty && same != (topic == cloudevent.Topic(b)) {
			t.Errorf("%+v and %+v have the topics %q and %q", a, b, topic, cloudevent.Topic(b))
		}
	})
}

func TestWhatIsNoEventIsRefused(t *testing.T) {
	const good = `{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"2026-01-02T03:04:05Z","myextension":7,"data":{"a": [1]}}`
	if e, err := cloudevent.Parse([]byte(good)); err != nil || string(e.Data) != `{"a": [1]}` {
		t.Fatalf("%+v %v", e, err)
	}
	for _, c := range []struct{ name, old, new string }{
		{"cut off", `}}`, `}`},
		{"an attribute twice", `"id":"1"`, `"id":"1","id":"1"`},
		{"an id that is a number", `"id":"1"`, `"id":1`},
		{"an empty id", `"id":"1"`, `"id":""`},
		{"an id with a line break", `"id":"1"`, `"id":"1\n2"`},
		{"an id as long as a book", `"id":"1"`, `"id":"` + strings.Repeat("1", 1025) + `"`},
		{"no source", `"source":"/s",`, ``},
		{"no version", `"specversion":"1.0",`, ``},
		{"data as base64", `"data":{"a": [1]}`, `"data_base64":"e30="`},
		{"data that is a picture", `"myextension":7`, `"datacontenttype":"image/png"`},
		{"bytes that are no text", `/s`, "/\xff"},
	} {
		if _, err := cloudevent.Parse([]byte(strings.Replace(good, c.old, c.new, 1))); adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestSourceIsAReferenceThatIsNotEmpty(t *testing.T) {
	for source, valid := range map[string]bool{"/adg/bus": true, "https://adg.example/eu": true, "": false, "a\nb": false, "%zz": false, strings.Repeat("a", 256): false} {
		if err := cloudevent.ValidSource(source); (err == nil) != valid {
			t.Errorf("%q: %v", source, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	text, err := cloudevent.Encode(notifytest.Fact(), "/adg")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t","data":null}`))
	f.Add([]byte(`{"a":{"b":[1,2,{"c":"\ud800"}]}} `))
	f.Add([]byte(`{"a":1,}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := cloudevent.Parse(text)
		if err != nil {
			if adg.CodeOf(err) != adg.Invalid {
				t.Errorf("a bad event is %s: %v", adg.CodeOf(err), err)
			}
			return
		}
		if !json.Valid(text) {
			t.Errorf("%q was taken for JSON", text)
		}
		again, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cloudevent.Parse(again); err != nil {
			t.Errorf("%s: %v", again, err)
		}
	})
}
