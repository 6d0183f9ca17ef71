package wire_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	"github.com/deployguardian/adg/internal/backtest"
	"github.com/deployguardian/adg/internal/control"
	"github.com/deployguardian/adg/internal/freeze"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/oracle"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

var update = flag.Bool("update", false, "write testdata/translations.txt anew")

// translations are all that there are, each with shapes of what it translates in which all of the message is set.
var translations = []translation{
	translates("Release", wire.Release),
	translates("ReleaseRecord", wire.ReleaseRecord),
	translates("ReleaseHold", wire.ReleaseHold),
	translates("Policy", wire.Policy),
	translates("Check", wire.Check),
	translates("PolicyVersion", func(p control.Policy) *adgv1.PolicyVersion { return wire.PolicyVersion(p, &adg.Policy{}, nil) }),
	derives("PolicyVersion", func(p control.Policy) *adgv1.PolicyVersion {
		return wire.PolicyVersion(p, nil, adg.Errorf(adg.Conflict, "no"))
	}),
	translates("Judgement", func(j adg.Judgement) *adgv1.Judgement { return wire.Judgement(counting(j.Check), j) }),
	translates("Assessment", func(a adg.Assessment) *adgv1.Assessment {
		return wire.Assessment(counting(a.Judgements[0].Check), a)
	}),
	translates("Prediction", wire.Prediction),
	translates("Contribution", wire.Contribution),
	translates("Measurement", wire.Measurement),
	translates("Series", wire.Series),
	translates("Baseline", wire.Baseline),
	translates("Deployment", wire.Deployment,
		func(d *adg.Deployment) { d.Status.State, d.Status.Step, d.Status.Rollbacks = adg.Held, 0, 0 },
		func(d *adg.Deployment) { d.Status.State, d.Status.Step = adg.VerifyingRollback, 0 },
		func(d *adg.Deployment) {
			d.Status.State, d.Status.Health, d.Status.Step = adg.Rolling, adg.Healthy, 0
			d.Spec.Policy.Strategy.Steps[0].Bake = 10 * d.Status.Good
		}),
	translates("Summary", wire.Summary,
		func(d *adg.Deployment) {
			d.Status.State, d.Status.Phase, d.Status.Step, d.Status.Rollbacks = adg.Verifying, 0, 0, 0
		},
		func(d *adg.Deployment) { d.Status.State = adg.Succeeded }),
	derives("Headline", func(d adg.Deployment) *adgv1.Headline {
		value := 1.0
		check := d.Spec.Policy.Checks[0].Name
		d.Status.Checks[0].Last.Check = check
		return wire.Headline(d, []adg.Assessment{{Judgements: []adg.Judgement{{Check: check, Value: &value}}}})
	}),
	translates("Evidence", func(e adg.Entry) *adgv1.Evidence {
		spec := filled[adg.Spec]()
		return wire.Evidence(spec, e, []adg.Measurement{filled[adg.Measurement]()}, true)
	}, func(e *adg.Entry) {
		e.Before.State = adg.RollingBack
		e.Decision.Next.Step, e.Decision.Next.Rollbacks = 0, 0
	}, func(*adg.Entry) {}),
	translates("Effect", wire.Effect),
	translates("Observed", wire.Observed),
	translates("Placement", wire.Placement),
	translates("Command", wire.Command),
	translates("Gate", wire.Gate),
	translates("Fact", wire.Fact),
	translates("Event", wire.Event),
	translates("Delivery", wire.Delivery),
	translates("Stop", wire.Stop),
	translates("Freeze", func(w freeze.Window) *adgv1.FreezeWindow { return wire.Freeze(w, 3, w.From) },
		func(w *freeze.Window) { w.Weekly = nil; w.Until = w.From.Add(time.Hour) },
		func(*freeze.Window) {}),
	translates("Service", func(s control.Service) *adgv1.Service { return wire.Service(s, s.Environments[0].Freeze.From) }),
	translates("Environment", func(e control.Environment) *adgv1.Environment { return wire.Environment(e, e.Freeze.From) }),
	translates("ServiceBaseline", wire.ServiceBaseline),
	translates("ServiceFigures", wire.ServiceFigures),
	translates("JudgedPrediction", wire.JudgedPrediction,
		func(j *oracle.Judged) { j.Known, j.Failed, j.Prediction.Success = true, true, 0.5 },
		func(j *oracle.Judged) { j.Known = false }),
	translates("PredictionFigures", wire.PredictionFigures),
	translates("Model", wire.Model),
	translates("AuditEntry", wire.AuditEntry),
	translates("Connection", func(k control.Connection) *adgv1.Connection {
		made, err := wire.Connection(k)
		if err != nil {
			panic(err)
		}
		return made
	}, func(k *control.Connection) {
		k.Seam, k.Options = "target", `{"address":"http://localhost","token":{"keep":"true"}}`
	}),
	translates("ConnectionHealth", func(h control.Health) *adgv1.ConnectionHealth { return wire.ConnectionHealth(h, 3) }),
	translates("TestConnectionResponse", wire.Trial),
	translates("DiffPolicyResponse", wire.Difference),
	translates("BacktestCase", wire.BacktestCase, func(c *backtest.Case) { c.Was = "rolled back" }),
	translates("BacktestSummary", wire.BacktestSummary),
	translates("Replica", wire.Replica),
	translates("Identity", wire.Identity),
	translates("User", wire.User),
	translates("Token", wire.Token),
	translates("Plan", func(d adg.Deployment) *adgv1.Plan {
		return wire.Plan(wire.Planned{Spec: d.Spec, PolicyVersion: 3, Gates: []adg.Gate{filled[adg.Gate]()}, Supersedes: []string{"x"}})
	},
		func(d *adg.Deployment) { d.Spec.Policy.Rollback.Trust = adg.Auto },
		func(d *adg.Deployment) {
			d.Spec.Policy.Rollback = adg.RollbackPolicy{Trust: adg.Auto, PerHour: 1}
			d.Spec.Policy.Risk, d.Spec.Policy.Approve = adg.RiskPolicy{}, false
		}),
	derives("RollbackStep", func(d adg.Deployment) *adgv1.Status {
		return &adgv1.Status{RollbackSteps: wire.RollbackSteps(d, []adg.Effect{{Begun: d.Status.ReachedAt, Desired: adg.Desired{Rollback: true}}})}
	}, func(d *adg.Deployment) { d.Status.State = adg.RolledBack }),
	derives("Permit", func(d adg.Deployment) *adgv1.Status {
		return &adgv1.Status{Permits: wire.Permits(d, admin("ann"), d.Status.Ticked)}
	}, func(d *adg.Deployment) { d.Status.State = adg.Rolling }),
	translates("Grant", func(who identity.Identity) *adgv1.WhoAmIResponse {
		return &adgv1.WhoAmIResponse{Grants: wire.Grants(who)}
	}),
	translates("RoleDescription", func(d struct{ Role identity.Role }) *adgv1.RoleDescription { return wire.RoleDescription(d.Role) }),
}

// unset are the fields of messages that are translated from nothing, and why.
var unset = map[string]string{
	"Connection.health":          "is measured by whoever asks",
	"Connection.secrets":         "are written and never shown",
	"Delivery.error":             "the store's outbox does not give it back",
	"Delivery.time":              "the store's outbox does not give it back",
	"Identity.display_name":      "identity has none",
	"LogFinding.decides":         "is made of two others",
	"PolicyProblem.fatal":        "what is fatal is never stored",
	"ReleaseRecord.hold":         "is another record",
	"ReleaseRecord.last_good":    "depends on other records",
	"RoleBinding.create_time":    "identity keeps it in the audit log",
	"RoleBinding.creator":        "identity keeps it in the audit log",
	"Status.success":             "is the last assessment's",
	"Token.revoked":              "one that has ended is not there any more",
	"WhoAmIResponse.expire_time": "is the session's",
	"WhoAmIResponse.identity":    "stands for itself in another translation",
}

// unread are the fields of ours that no message tells, and why.
var unread = map[string]string{
	"adg.LogCell.Moment":        "is summed up",
	"adg.LogCell.Replica":       "is summed up",
	"adg.LogTest.Restored":      "is the judge's own, for the checks after a rollback",
	"strictyaml.Problem.Caret":  "is for a terminal",
	"strictyaml.Problem.File":   "there is one text",
	"strictyaml.Problem.Source": "whoever asks has the text",
	"control.Policy.InForce":    "a version's number and that of the one in force say it",
	"identity.Identity.Email":   "stands with the user",
	"identity.Identity.Login":   "is told by what the token may do",
	"identity.Identity.Session": "is the caller's own credential",
	"identity.Identity.Until":   "is told by WhoAmI",
	"adg.RiskPolicy.Labels":     "the API has no word for them",
	"adg.Prediction.Counted":    "the API has no word for it",
	"adg.Policy.OnInterrupt":    "is for a process that guards one deployment, not for a server",
	"adg.Status.Ops":            "counts what the effects list",
	"adg.Watch.State":           "belongs to the judge",
	"adg.Baseline.Calibration":  "belongs to the judge",
	"adg.CheckState.Last":       "belongs to the judge",
	"adg.CheckState.Streak":     "belongs to the judge",
	"adg.CheckState.Test":       "belongs to the judge",
	"adg.Command.Address":       "is for the second pair of eyes only",
	"adg.Fact.Link":             "leads people to where the caller of the API is already",
	"adg.Fleet.Limits":          "the API has no word for them",
	"adg.Limits.Services":       "the API has no word for them",
	"adg.Limits.Within":         "the API has no word for them",
	"adg.Limits.Rollbacks":      "the API has no word for them",
	"adg.Command.Deployment":    "a command stands in its deployment's decision",
	"adg.Command.Trace":         "is for the trace only",
	"adg.Decision.Hold":         "stands among the holds",
	"adg.Decision.Slot":         "is between the guard and the store",
	"adg.Decision.Standing":     "stands among the releases",
	"adg.Desired.Approved":      "stands in the status",
	"adg.Desired.Deployment":    "is that of the effect",
	"adg.Desired.Fence":         "is between the guard, the store and the target",
	"adg.Desired.Timeout":       "is the policy's",
	"adg.Effect.Fence":          "is between the guard, the store and the target",
	"adg.Entry.Quiet":           "quiet entries are no decisions",
	"adg.Input.Now":             "is the decision's time",
	"adg.Input.Rehearsal":       "stands in the status after it",
	"adg.Input.Suspends":        "stands in the status after it",
	"adg.Rehearsal.Err":         "stands in the status after it",
	"adg.Rehearsal.Obstacles":   "stand in the status after it",
	"adg.Input.Watches":         "are those of the status after",
	"adg.Observed.OpID":         "is between the guard and the target",
	"adg.Policy.Target":         "the API has no word for it",
	"adg.Prediction.Authors":    "are hashes, of use to later predictions only",
	"adg.Prediction.Paths":      "are hashes, of use to later predictions only",
	"adg.Spec.Emergency":        "the API has no word for it",
	"adg.Spec.ID":               "is the deployment's",
	"adg.Spec.Key":              "stands for the caller's, which is his",
	"adg.Spec.Trace":            "is for the trace only",
	"control.Policy.Person":     "is the person behind the author",
	"control.Policy.Trust":      "is the policy's",
	"models.Item.Bytes":         "the API has no word for it",
	"models.Note.Aside":         "follows from which model is in use",
	"oracle.Judged.At":          "is the prediction's time, and the deployment's",
	"predict.Card.Counted":      "the API has no word for it",
	"predict.Card.Fingerprint":  "the id stands for it",
	"predict.Card.Seed":         "the id stands for it",
	"control.Policy.Uses":       "is counted with the connections",
	"backtest.Case.Detect":      "follows from found, where the fault was there from the start",
	"backtest.Case.Fault":       "is known of traces only",
	"backtest.Case.Kind":        "is known of traces only",
}

func TestEveryFieldIsTranslated(t *testing.T) {
	set, told := map[string]bool{}, map[string]bool{}
	apart := map[string]bool{}
	for _, tr := range translations {
		apart[tr.root] = true
	}
	var lines []string
	for _, tr := range translations {
		tr.run(set, told, apart, &lines)
	}
	for field, ok := range set {
		if _, excused := unset[field]; ok == excused {
			t.Errorf("message field %s: set is %t, and excused is %t", field, ok, excused)
		}
	}
	for field, ok := range told {
		if _, excused := unread[field]; ok == excused {
			t.Errorf("field %s of ours: told is %t, and excused is %t", field, ok, excused)
		}
	}
	for field := range unset {
		if _, known := set[field]; !known {
			t.Errorf("message field %s is excused and does not exist", field)
		}
	}
	for field := range unread {
		if _, known := told[field]; !known {
			t.Errorf("field %s of ours is excused and does not exist", field)
		}
	}
	const file = "testdata/translations.txt"
	got := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("what is translated to what differs from %s (go test -update writes it anew: read the difference):\n%s", file, diff)
	}
}

func TestNoTextOfOthersBreaksAMessage(t *testing.T) {
	for _, tr := range translations {
		t.Run(tr.name, func(t *testing.T) {
			for shape := range tr.shapes {
				m := tr.make(shape, func(leaves []leaf) {
					for _, l := range leaves {
						l.spoil()
					}
				})
				if _, err := proto.Marshal(m); err != nil {
					t.Errorf("a message cannot be written: %v", err)
				}
			}
		})
	}
}

// Private

// translation is one of the functions, on values that are filled by reflection.
type translation struct {
	name    string
	root    string // the type that is translated
	shapes  int
	derived bool // what changes what is not asked
	make    func(shape int, change func([]leaf)) proto.Message
}

func translates[R any, M proto.Message](name string, to func(R) M, shapes ...func(*R)) translation {
	return translation{
		name:   name,
		root:   reflect.TypeFor[R]().String(),
		shapes: max(len(shapes), 1),
		make: func(shape int, change func([]leaf)) proto.Message {
			r := filled[R]()
			if shape < len(shapes) {
				shapes[shape](&r)
			}
			var leaves []leaf
			walk(reflect.ValueOf(&r).Elem(), "", nil, &leaves)
			change(leaves)
			return to(r)
		},
	}
}

// derives is of a message that says more than what is stored, which tests of its own look at: here it has to be set.
func derives[R any, M proto.Message](name string, to func(R) M, shapes ...func(*R)) translation {
	tr := translates(name, to, shapes...)
	tr.derived = true
	return tr
}

// run finds out which fields of the message are set, and which field of ours changes which of them. Lines leave out the
// inside of what is translated apart.
func (tr translation) run(set, told, apart map[string]bool, lines *[]string) {
	changes := map[string]map[string]bool{}
	for shape := range tr.shapes {
		var leaves []leaf
		before := tr.make(shape, func(all []leaf) { leaves = all })
		noteSet(before.ProtoReflect(), set)
		if tr.derived {
			continue
		}
		for i, l := range leaves {
			now := tr.make(shape, func(all []leaf) { all[i].change() })
			changed := map[string]bool{}
			differ(before.ProtoReflect(), now.ProtoReflect(), "", changed)
			path, whole := l.path, true
			for depth, f := range l.fields {
				told[f] = told[f] || len(changed) > 0
				if owner := f[:strings.LastIndex(f, ".")]; whole && owner != tr.root && apart[owner] {
					path, whole = strings.Join(strings.Split(l.path, ".")[:depth], "."), false
				}
			}
			if changes[path] == nil {
				changes[path] = map[string]bool{}
			}
			for at := range changed {
				if !whole {
					at, _, _ = strings.Cut(at, ".")
				}
				changes[path][at] = true
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(changes)) {
		if fields := slices.Sorted(maps.Keys(changes[path])); len(fields) > 0 {
			*lines = append(*lines, fmt.Sprintf("%s: %s → %s", tr.name, path, strings.Join(fields, ", ")))
		}
	}
}

// noteSet notes of every field of a message, and of those inside, whether it is set.
func noteSet(m protoreflect.Message, set map[string]bool) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		name := string(m.Descriptor().Name()) + "." + string(f.Name())
		set[name] = set[name] || m.Has(f)
		inside := f.Message()
		if !m.Has(f) || inside == nil || strings.HasPrefix(string(inside.FullName()), "google.") {
			continue
		}
		switch {
		case f.IsMap():
			if f.MapValue().Message() == nil {
				continue
			}
			m.Get(f).Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool { noteSet(v.Message(), set); return true })
		case f.IsList():
			for j := range m.Get(f).List().Len() {
				noteSet(m.Get(f).List().Get(j).Message(), set)
			}
		default:
			noteSet(m.Get(f).Message(), set)
		}
	}
}

// differ notes the paths of the leaves in which two messages of one type differ.
func differ(a, b protoreflect.Message, path string, paths map[string]bool) {
	fields := a.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		was, now := a.Get(f), b.Get(f)
		if a.Has(f) == b.Has(f) && was.Equal(now) {
			continue
		}
		at := strings.TrimPrefix(path+"."+string(f.Name()), ".")
		inside := f.Message()
		switch {
		case inside == nil || f.IsMap() || strings.HasPrefix(string(inside.FullName()), "google."):
			paths[at] = true
		case f.IsList():
			nothing := was.List().NewElement()
			entry := func(all protoreflect.List, i int) protoreflect.Message {
				if i < all.Len() {
					return all.Get(i).Message()
				}
				return nothing.Message()
			}
			for j := range max(was.List().Len(), now.List().Len()) {
				differ(entry(was.List(), j), entry(now.List(), j), at, paths)
			}
		default:
			differ(was.Message(), now.Message(), at, paths)
		}
	}
}

// leaf is one value of ours that can be changed by itself.
type leaf struct {
	path   string
	fields []string // the struct's field, and those that the struct stands in
	v      reflect.Value
}

var (
	timeType      = reflect.TypeFor[time.Time]()
	rawType       = reflect.TypeFor[json.RawMessage]()
	weekdayType   = reflect.TypeFor[time.Weekday]()
	conditionType = reflect.TypeFor[adg.Condition]()
	limitType     = reflect.TypeFor[adg.RiskLimit]()
	labelsType    = reflect.TypeFor[adg.Labels]()
)

// walk finds the leaves: everything that is no struct, and structs that mean one thing.
func walk(v reflect.Value, path string, fields []string, leaves *[]leaf) {
	one := func() { *leaves = append(*leaves, leaf{path: strings.TrimPrefix(path, "."), fields: fields, v: v}) }
	switch {
	case v.Type() == timeType, v.Type() == conditionType, v.Type() == limitType, v.Type() == labelsType, v.Type() == rawType:
		one()
	case v.Kind() == reflect.Pointer:
		if v.IsNil() {
			return
		}
		walk(v.Elem(), path, fields, leaves)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			walk(v.Field(i), path+"."+f.Name, append(slices.Clone(fields), v.Type().String()+"."+f.Name), leaves)
		}
	case v.Kind() == reflect.Slice:
		if v.Len() > 0 {
			walk(v.Index(0), path, fields, leaves)
		}
	default:
		one()
	}
}

// change gives the leaf another value, which is as valid as the one before.
func (l leaf) change() {
	v := l.v
	switch {
	case v.Type() == timeType:
		v.Set(reflect.ValueOf(v.Interface().(time.Time).Add(time.Hour)))
	case v.Type() == conditionType:
		v.Set(reflect.ValueOf(adg.Condition{Operator: adg.Below, Value: 7}))
	case v.Type() == limitType:
		v.Set(reflect.ValueOf(adg.RiskLimit{Bound: adg.BoundUpper, Below: 0.25}))
	case v.Type() == labelsType:
		v.Set(reflect.ValueOf(adg.Labels{Incident: true}))
	case v.Type() == rawType:
		v.SetBytes([]byte(`2`))
	case v.Type() == weekdayType:
		v.SetInt((v.Int() + 1) % 7)
	case v.Kind() == reflect.Map:
		v.SetMapIndex(reflect.ValueOf("another"), reflect.New(v.Type().Elem()).Elem())
	case v.Kind() == reflect.String && json.Valid([]byte(v.String())):
		v.SetString(`{"other":true}`)
	case v.Kind() == reflect.String:
		v.SetString(v.String() + "x")
	case v.Kind() == reflect.Bool:
		v.SetBool(!v.Bool())
	case v.Kind() == reflect.Uint8:
		v.SetUint((v.Uint() + 1) % 2)
	case v.Kind() == reflect.Uint64:
		v.SetUint(v.Uint() + 1)
	case v.CanInt():
		v.SetInt(v.Int() + int64(time.Second))
		if v.Type() != reflect.TypeFor[time.Duration]() {
			v.SetInt(v.Int() - int64(time.Second) + 1)
		}
	case v.CanFloat():
		v.SetFloat(v.Float() + 0.5)
	default:
		panic("no way to change " + l.path + " of type " + v.Type().String())
	}
}

// spoil puts bytes into the leaf that are no UTF-8.
func (l leaf) spoil() {
	switch {
	case l.v.Kind() == reflect.String && !json.Valid([]byte(l.v.String())):
		l.v.SetString(l.v.String() + "\xff\xfe")
	case l.v.Kind() == reflect.String:
		l.v.SetString("{\"a\xff\":\"b\xff\"}")
	case l.v.Kind() == reflect.Map:
		l.v.SetMapIndex(reflect.ValueOf("a\xff"), l.v.MapIndex(l.v.MapKeys()[0]))
	}
}

// filled is a value whose every field is set, each to something else.
func filled[T any]() T {
	var made T
	n := 0
	fill(reflect.ValueOf(&made).Elem(), &n)
	return made
}

func fill(v reflect.Value, n *int) {
	*n++
	switch {
	case v.Type() == timeType:
		v.Set(reflect.ValueOf(time.Date(2026, 1, 2, 3, *n, 0, 0, time.UTC)))
	case v.Type() == conditionType:
		v.Set(reflect.ValueOf(adg.Condition{Operator: adg.Above, Value: float64(*n)}))
	case v.Type() == limitType:
		v.Set(reflect.ValueOf(adg.RiskLimit{Below: 1 / float64(*n+1)}))
	case v.Type() == rawType:
		v.SetBytes([]byte(`1`))
	case v.Type() == weekdayType:
		v.SetInt(int64(*n % 7))
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), n)
	case v.Kind() == reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		value := reflect.New(v.Type().Elem()).Elem()
		fill(value, n)
		v.SetMapIndex(reflect.ValueOf(fmt.Sprint("key", *n)), value)
	case v.Kind() == reflect.String:
		v.SetString(fmt.Sprint("text", *n))
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.Kind() == reflect.Uint8:
		v.SetUint(1)
	case v.Kind() == reflect.Uint64:
		v.SetUint(uint64(*n))
	case v.CanInt():
		v.SetInt(int64(*n))
		if v.Type() == reflect.TypeFor[time.Duration]() {
			v.SetInt(int64(*n) * int64(time.Second))
		}
	case v.CanFloat():
		v.SetFloat(float64(*n) / 4)
	default:
		panic("no way to fill a " + v.Type().String())
	}
}

func admin(name string) identity.Identity {
	return identity.Identity{
		Subject: "user:" + name, Kind: identity.KindUser, Person: name,
		Bindings: []identity.Binding{{Subject: "user:" + name, Role: identity.Admin, Service: "*", Environment: "*"}},
	}
}

// counting is a policy with a check of that name.
func counting(check string) adg.Policy {
	return adg.Policy{Checks: []adg.Check{{Name: check, Unit: "ms"}}}
}
