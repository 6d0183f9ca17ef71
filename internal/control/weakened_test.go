package control_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/control"
)

// innocent are the fields of a policy that do not change how much it guards, and why.
var innocent = map[string]string{
	"Service":                 "is the policy's place",
	"Environment":             "is the policy's place",
	"Digest":                  "follows from the text",
	"GateTimeout":             "a gate stays closed, however long it is waited for",
	"Risk.Labels":             "says what is learned from",
	"Scoring.Alpha":           "is shared out from alpha",
	"Checks.Sequential.Alpha": "is shared out from alpha",
	"Checks.Unit":             "is how people read the values; the limits are compared as before",
}

// guarded is a policy with something in every field.
func guarded() adg.Policy {
	limit := adg.RiskLimit{Below: 0.5}
	return adg.Policy{
		Service: "shop", Environment: "production", Variables: map[string]string{"job": "shop"}, Target: "t", Notify: []string{"a", "b"}, Alpha: 0.01, Promote: adg.Proven,
		Interval: time.Minute, WarmUp: time.Minute, Settle: time.Hour, History: time.Hour, Deadline: 48 * time.Hour, UnknownHold: time.Hour, GateTimeout: time.Hour,
		Approve: true, FourEyes: true, OnInterrupt: adg.InterruptRollBack, Scoring: adg.Scoring{Healthy: 90, Degraded: 60},
		Checks: []adg.Check{{
			Name: "errors", Source: "prom", Query: "q", Replica: "pod", Window: time.Minute, Interval: time.Minute, MaxAge: time.Minute, Failures: 3, MinSamples: 10, Weight: 2,
			Critical: true, BlamePreexisting: true, Fail: adg.Condition{Operator: adg.Above, Value: 5}, Warn: adg.Condition{Operator: adg.Above, Value: 3},
			Sequential: adg.SequentialTest{Ratio: 1.5, NotBy: 2, Beta: 0.1, Detect: 4, Power: 0.8, Bucket: 60},
		}},
		Strategy: adg.Strategy{Kind: adg.Canary, Keep: time.Hour, Steps: []adg.Step{{Share: 10, Bake: time.Hour, Pause: true}, {Share: 100, Bake: time.Minute}}},
		Verify:   []adg.Phase{{Name: "short", For: time.Hour, Interval: time.Minute, Checks: []string{"errors"}}},
		Risk:     adg.RiskPolicy{Warn: limit, Approve: limit, Block: limit, Steer: adg.Steering{Bake: 2, Steps: 2, Strict: 2}},
		Rollback: adg.RollbackPolicy{
			Trust: adg.Auto, Rules: []adg.Rule{{When: adg.Degraded, For: time.Minute, After: time.Minute}}, Recover: time.Minute, AskTimeout: time.Hour, AskThen: adg.AskThenRollBack,
			Attempts: 5, Timeout: time.Minute, VerifyFor: time.Minute, VerifyMax: time.Hour, HoldFor: time.Hour, PerHour: 10, Fallback: "spare",
		},
	}
}

func TestEveryFieldOfAPolicyWeakensItOneWayOrTheOther(t *testing.T) {
	if how := control.Weakened(guarded(), guarded()); len(how) != 0 {
		t.Fatalf("a policy is weaker than itself: %v", how)
	}
	for _, path := range leaves(reflect.TypeFor[adg.Policy](), "", nil) {
		t.Run(path.name, func(t *testing.T) {
			found := false
			for _, turn := range []func(reflect.Value){more, less, none} {
				changed := guarded()
				turn(at(reflect.ValueOf(&changed).Elem(), path.index))
				found = found || len(control.Weakened(guarded(), changed)) > 0
			}
			if _, excused := innocent[path.name]; found == excused {
				t.Errorf("its change is told: %t; excused: %t", found, excused)
			}
		})
	}
}

func TestWhatIsStricterIsNoWeaker(t *testing.T) {
	for name, change := range map[string]func(*adg.Policy){
		"a further check":         func(p *adg.Policy) { p.Checks = append(p.Checks, adg.Check{Name: "new", Source: "prom", Query: "q"}) },
		"a further notifier":      func(p *adg.Policy) { p.Notify = append(p.Notify, "c") },
		"a rule that acts sooner": func(p *adg.Policy) { p.Rollback.Rules[0].For /= 2 },
		"a further, smaller step": func(p *adg.Policy) {
			p.Strategy.Steps = slices.Insert(p.Strategy.Steps, 0, adg.Step{Share: 1, Bake: time.Hour})
		},
		"a longer bake":             func(p *adg.Policy) { p.Strategy.Steps[0].Bake *= 2 },
		"measured more often":       func(p *adg.Policy) { p.Interval /= 2 },
		"a phase that asks all":     func(p *adg.Policy) { p.Verify[0].Checks = nil },
		"a hold until it is lifted": func(p *adg.Policy) { p.Rollback.HoldFor = 0 },
		"a higher bar":              func(p *adg.Policy) { p.Risk.Block.Below = 0.9 },
	} {
		t.Run(name, func(t *testing.T) {
			p := guarded()
			change(&p)
			if how := control.Weakened(guarded(), p); len(how) != 0 {
				t.Error(how)
			}
		})
	}
}

// leaf is a field that holds no further ones, and the way to it; of lists and maps the first entry is meant.
type leaf struct {
	name  string
	index []int
}

func leaves(t reflect.Type, name string, index []int) (all []leaf) {
	switch t.Kind() { //nolint:exhaustive // the others are leaves
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Struct {
			return leaves(t.Elem(), name, append(slices.Clone(index), -1))
		}
	case reflect.Struct:
		if t.NumField() == 0 || name == "Checks.Fail" || name == "Checks.Warn" {
			break
		}
		for i := range t.NumField() {
			f := t.Field(i)
			full := f.Name
			if name != "" {
				full = name + "." + f.Name
			}
			all = append(all, leaves(f.Type, full, append(slices.Clone(index), i))...)
		}
		return all
	}
	return []leaf{{name, index}}
}

func at(v reflect.Value, index []int) reflect.Value {
	for _, i := range index {
		if i < 0 {
			v = v.Index(0)
			continue
		}
		v = v.Field(i)
	}
	return v
}

func none(v reflect.Value) { v.SetZero() }

func more(v reflect.Value) { change(v, 1) }

func less(v reflect.Value) { change(v, -1) }

// change makes a value another one, larger or smaller where it is a number.
func change(v reflect.Value, by int) {
	switch v.Kind() { //nolint:exhaustive // what a policy has
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + int64(by)*max(1, v.Int()/2))
	case reflect.Uint8:
		if now := int(v.Uint()) + by; now >= 0 {
			v.SetUint(uint64(now))
		}
	case reflect.Float64:
		v.SetFloat(v.Float() + float64(by)*max(0.1, v.Float()/2))
	case reflect.Bool:
		v.SetBool(by > 0)
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Slice:
		if by < 0 && v.Len() > 0 {
			v.Set(v.Slice(0, v.Len()-1))
		} else if v.Type().Elem().Kind() == reflect.String {
			v.Set(reflect.ValueOf([]string{"other"}))
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"job": "other"}))
	case reflect.Struct:
		if c, ok := v.Interface().(adg.Condition); ok {
			c.Value += float64(by)
			v.Set(reflect.ValueOf(c))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	default:
		panic(fmt.Sprint("a policy has a ", v.Kind()))
	}
}
