package evaluate_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/predict"
	"github.com/deployguardian/adg/internal/predict/evaluate"
	"github.com/deployguardian/adg/internal/race"
)

const hour = 3600.0

var columns = evaluate.Columns{Label: "failed", Time: "ts", Group: "app"}

// drawn is a table in which large changes fail more often, a row an hour.
func drawn(rows int, more ...string) string {
	r := rand.New(rand.NewPCG(1, 2))
	var text strings.Builder
	text.WriteString("ts,app,failed,size,noise" + strings.Join(more, "") + "\n")
	for i := range rows {
		size := r.IntN(100)
		failed := 0
		if r.IntN(200) < size {
			failed = 1
		}
		fmt.Fprintf(&text, "%d,app%d,%d,%d,%d%s\n", 1_700_000_000+i*int(hour), i%3, failed, size, r.IntN(9), strings.Repeat(",7", len(more)))
	}
	return text.String()
}

// many is so many rows; half while the race detector watches.
func many(rows int) int {
	if race.Enabled {
		return rows / 2
	}
	return rows
}

func read(t *testing.T, text string, c evaluate.Columns) *evaluate.Table {
	t.Helper()
	table, err := evaluate.Read(strings.NewReader(text), c)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func run(t *testing.T, table *evaluate.Table, o evaluate.Options) *evaluate.Result {
	t.Helper()
	r, err := evaluate.Run(t.Context(), table, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTableThatCanBeLearnedIsLearned(t *testing.T) {
	rows := many(1500)
	r := run(t, read(t, drawn(rows), columns), evaluate.Options{ScoreLast: 0.5, Refit: 720 * hour, Seed: 1})
	if r.Rows != rows || r.Scored != rows/2 || r.Features != 2 || *r.Chosen.AUC < 0.65 || *r.Chosen.BrierSkill < 0.02 {
		t.Errorf("%+v, AUC %g, skill %g", r, *r.Chosen.AUC, *r.Chosen.BrierSkill)
	}
	if len(r.Experts) != len(predict.ExpertNames()) || *r.Experts["base_rate"].BrierSkill != 0 {
		t.Errorf("experts %v", r.Experts)
	}
}

// TestOutcomesAreLearnedOnlyAfterTheDelay turns all outcomes of the last part around. Nothing that was answered before
// the first of them could be known may change.
func TestOutcomesAreLearnedOnlyAfterTheDelay(t *testing.T) {
	const delay = 50
	rows, turned := many(600), many(300)
	table, other := read(t, drawn(rows), columns), read(t, drawn(rows), columns)
	for i := turned; i < rows; i++ {
		other.Labels[i] = evaluate.Succeeded + evaluate.Failed - other.Labels[i]
	}
	o := evaluate.Options{ScoreLast: 1, Refit: 24 * hour, Delay: delay * hour, Seed: 1}
	a, b := run(t, table, o).Answers, run(t, other, o).Answers
	same := 0
	for same < rows && a[same] == b[same] {
		same++
	}
	if same <= turned+delay {
		t.Errorf("the answer to row %d knows an outcome that nobody could know before row %d", same, turned+delay+1)
	}
	if same > turned+delay+30 {
		t.Errorf("only row %d shows that outcomes were learned", same)
	}
}

func TestWhatIsTrainedOnceLearnsNothingFromWhatIsScored(t *testing.T) {
	rows, from := many(600), many(420)
	table, other := read(t, drawn(rows), columns), read(t, drawn(rows), columns)
	for i := from; i < rows; i++ {
		other.Labels[i] = evaluate.Succeeded + evaluate.Failed - other.Labels[i]
	}
	o := evaluate.Options{ScoreLast: 0.3, Refit: 24 * hour, Once: true, Seed: 1}
	a, b := run(t, table, o), run(t, other, o)
	if a.Scored != rows-from || !slices.Equal(a.Answers, b.Answers) || !slices.Equal(a.BaseRates, b.BaseRates) {
		t.Error("the answers know outcomes of rows that are scored")
	}
	o.Once = false
	if slices.Equal(a.Answers, run(t, table, o).Answers) {
		t.Error("without it, the answers are the same: outcomes that come to be known are not learned")
	}
}

func TestOrderOfTheFileDoesNotMatter(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(drawn(many(400))), "\n")
	shuffled := slices.Clone(lines)
	rand.New(rand.NewPCG(3, 4)).Shuffle(len(lines)-1, func(i, j int) { shuffled[i+1], shuffled[j+1] = shuffled[j+1], shuffled[i+1] })
	o := evaluate.Options{ScoreLast: 0.5, Seed: 1}
	want, table := run(t, read(t, strings.Join(lines, "\n"), columns), o), read(t, strings.Join(shuffled, "\n"), columns)
	got := run(t, table, o)
	if !reflect.DeepEqual(got.Chosen, want.Chosen) {
		t.Error("the scores are others where the file has another order")
	}
	if !strings.Contains(strings.Join(table.Notes, "\n"), "the time goes backwards") {
		t.Errorf("notes %q", table.Notes)
	}
}

func TestWhatIsWrongWithATableIsSaid(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"nothing at all":             {"", "the table is empty"},
		"a header alone":             {"ts,app,failed\n", "no rows"},
		"a label that is no such":    {"ts,app,failed\n1,a,maybe\n", `line 2, column failed: "maybe" is no outcome`},
		"a time that is none":        {"ts,app,failed\nsoon,a,1\n", "line 2, column ts"},
		"a column that is not there": {"ts,failed\n1,0\n", `no column "app"; it has ts, failed`},
		"a column twice":             {"ts,app,failed,ts\n1,a,0,1\n", `two columns named "ts"`},
		"a row that is too short":    {"ts,app,failed\n1,a\n", "wrong number of fields"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := evaluate.Read(strings.NewReader(c.text), columns)
			if adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestOddColumnsAreNotedAndLoseNothing(t *testing.T) {
	text := "ts,app,failed,size,words,empty,constant,mostly\n"
	for i := range 60 {
		size, mostly := fmt.Sprint(i%7), fmt.Sprint(i)
		switch i {
		case 3:
			size = "NaN"
		case 4:
			size = "Inf"
		case 5:
			mostly = "oops"
		case 6:
			size = ""
		}
		text += fmt.Sprintf("%d,a,%d,%s,word%d,,7,%s\n", 1_700_000_000+i*3600, i%2, size, i, mostly)
	}
	table := read(t, text, columns)
	if !slices.Equal(table.Names, []string{"size", "constant", "mostly"}) {
		t.Errorf("features are %q", table.Names)
	}
	notes := strings.Join(table.Notes, "\n")
	for _, want := range []string{"they hold text: words", "they are empty: empty", "constant, and so without influence: constant", "1 infinite values count as missing", "column mostly: 1 cells are text"} {
		if !strings.Contains(notes, want) {
			t.Errorf("notes lack %q:\n%s", want, notes)
		}
	}
	if r := run(t, table, evaluate.Options{ScoreLast: 0.5}); r.Scored != 30 {
		t.Errorf("%d rows were scored", r.Scored)
	}
}

func TestOneKindOfOutcomeIsAnAnswerToo(t *testing.T) {
	text := "ts,app,failed,size\n"
	for i := range 300 {
		text += fmt.Sprintf("%d,a,0,%d\n", i, i%5)
	}
	table := read(t, text, columns)
	r := run(t, table, evaluate.Options{ScoreLast: 0.5})
	if r.Chosen.AUC != nil || r.Chosen.LogLoss == nil || *r.Chosen.LogLoss > 0.1 {
		t.Errorf("%+v", r.Chosen)
	}
	if notes := strings.Join(table.Notes, "\n"); !strings.Contains(notes, "all outcomes are alike") || !strings.Contains(notes, "the times are positions") {
		t.Error(notes)
	}
}

func TestRowsWithoutOutcomeAreNeitherLearnedNorScored(t *testing.T) {
	text := drawn(300)
	holes := strings.ReplaceAll(text, ",app2,0,", ",app2,,")
	r := run(t, read(t, holes, columns), evaluate.Options{ScoreLast: 1})
	if r.Scored >= 300 || r.Scored < 200 {
		t.Errorf("%d of 300 rows were scored", r.Scored)
	}
}

func TestGzippedTablesAreRead(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(drawn(50)))
	_ = z.Close()
	table, err := evaluate.Read(&packed, columns)
	if err != nil || len(table.Values) != 50 {
		t.Errorf("%v", err)
	}
}

func TestInterruptedEvaluationEndsWithTheReason(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	if _, err := evaluate.Run(ctx, read(t, drawn(100), columns), evaluate.Options{ScoreLast: 1}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestOptionsThatCannotBeMeantAreRefused(t *testing.T) {
	table := read(t, drawn(20), columns)
	for _, o := range []evaluate.Options{{}, {ScoreLast: 2}, {ScoreLast: 1, Delay: -1}, {ScoreLast: 1, Refit: -1}, {ScoreLast: 1, Rows: -1}} {
		if _, err := evaluate.Run(t.Context(), table, o); adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(drawn(5))
	f.Add("ts,app,failed\n2024-01-01,a,true\n2024-01-02T10:00:00Z,b,no\n")
	f.Add("ts,app,failed,\"x\"\"y\"\n1e300,a,1,-Inf\n")
	f.Fuzz(func(t *testing.T, text string) {
		table, err := evaluate.Read(strings.NewReader(text), columns)
		if err != nil {
			if adg.CodeOf(err) != adg.Invalid {
				t.Errorf("%v is not called invalid", err)
			}
			return
		}
		if len(table.Values) <= 50 {
			if _, err := evaluate.Run(t.Context(), table, evaluate.Options{ScoreLast: 1}); err != nil {
				t.Error(err)
			}
		}
	})
}
