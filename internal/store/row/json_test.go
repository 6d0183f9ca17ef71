package row

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
)

func TestAnyMeasurementComesBackAsItWasStored(t *testing.T) {
	float := rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1)}))
	at := rapid.Custom(func(r *rapid.T) time.Time { return time.Unix(0, rapid.Int64Min(1).Draw(r, "at")).UTC() })
	sample := rapid.Custom(func(r *rapid.T) adg.Sample { return adg.Sample{At: at.Draw(r, "at"), Value: float.Draw(r, "value")} })
	series := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) adg.Series {
		return adg.Series{
			Labels:  rapid.MapOfN(rapid.String(), rapid.String(), 0, 3).Draw(r, "labels"),
			Samples: rapid.SliceOfN(sample, 0, 20).Draw(r, "samples"),
		}
	}), 0, 3)
	rapid.Check(t, func(r *rapid.T) {
		m := adg.Measurement{
			Check: rapid.String().Draw(r, "check"), At: time.Unix(rapid.Int64Range(0, 1<<33).Draw(r, "when"), 1).UTC(),
			Values: series.Draw(r, "values"), Bad: series.Draw(r, "bad"), Total: series.Draw(r, "total"), Err: rapid.String().Draw(r, "err"),
		}
		text, err := Encode(newMeasurement(m))
		if err != nil {
			r.Fatal(err)
		}
		back, err := Decode[measurement](text)
		if err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(m, back.plain(), cmpopts.EquateEmpty(), cmpopts.EquateNaNs()); diff != "" {
			r.Fatalf("%s\n%s", text, diff)
		}
	})
}

func TestStoringWritesThroughNothingThatItWasLent(t *testing.T) {
	value := math.NaN()
	tick := adg.Tick{
		Decision:  adg.Decision{Kind: adg.Hold, Apply: &adg.Desired{OpID: "1", Fence: 7}, Next: adg.Status{Checks: []adg.Watch{{Last: adg.Judgement{Value: &value}}}}},
		Lease:     adg.Lease{Deployment: "d0", Fence: 3},
		Baselines: []adg.Baseline{{Values: []float64{1}}},
	}
	if _, err := Prepare(tick); err != nil {
		t.Fatal(err)
	}
	if tick.Decision.Apply.Fence != 7 {
		t.Error("the fence was written into the caller's decision")
	}
}

func FuzzStoredMeasurementIsReadWithoutHarm(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `[]`, `{"check":"a","values":[{"at":[1,2],"v":[1,"NaN"]}]}`, `{"values":[{"at":[1,2,3],"v":["+Inf"]}]}`,
		`{"bad":[{"labels":{"a":"b"},"at":[9223372036854775807,9223372036854775807],"v":[1,2]}]}`, `{"total":[{"v":["x"]}]}`, `{"bad":[{"at":[9220000000000000000],"v":[0]}]}`, `{"values":[{"v":null}]}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Decode[measurement](text)
		if err != nil {
			return
		}
		plain := m.plain()
		if plain.At.Year() > 9999 || plain.At.Year() < 0 {
			return // a time that JSON cannot write
		}
		again, err := Encode(newMeasurement(plain))
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode[measurement](again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(plain, back.plain(), cmpopts.EquateEmpty(), cmpopts.EquateNaNs()); diff != "" {
			t.Error(diff)
		}
	})
}

func FuzzStoredNumberIsReadWithoutHarm(f *testing.F) {
	for _, seed := range []string{`1`, `-0`, `"NaN"`, `"+Inf"`, `"-Inf"`, `1e308`, `1e999`, `""`, `null`, `"1"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var n number
		if json.Unmarshal([]byte(text), &n) != nil {
			return
		}
		again, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		var back number
		if err := json.Unmarshal(again, &back); err != nil {
			t.Fatal(err)
		}
		if math.Float64bits(float64(n)) != math.Float64bits(float64(back)) && !math.IsNaN(float64(n)) {
			t.Errorf("%s became %g and then %g", text, n, back)
		}
	})
}
