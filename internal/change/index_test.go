package change

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
)

func stored(t *testing.T, x *Index) []byte {
	t.Helper()
	data, err := x.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// random writes a history with branches, merges, renames and removals, and gives the commits of its main line.
func random(t *testing.T, seed uint64, n int) (*history, []string) {
	h := newHistory(t)
	source := rand.New(rand.NewPCG(seed, 1))
	pick := func(words ...string) string { return words[source.IntN(len(words))] }
	line := []string{h.commit("ann", "2019-01-01", "begin", put("a/0", numbered(5)), put("b/0", numbered(7)))}
	for i := 1; i < n; i++ {
		day := fmt.Sprintf("20%02d-%02d-%02d", 19+i/15, 1+i%12, 1+i%28)
		who := pick("ann", "bob", "cyd", "renovate[bot]")
		path := pick("a/", "b/", "c/d/") + pick("0", "1", "2", "3")
		edits := []edit{put(path, strings.Repeat(numbered(source.IntN(9)), 1)+fmt.Sprintln(i))}
		if source.IntN(6) == 0 {
			files := strings.Fields(h.git("ls-tree", "-r", "--name-only", h.branch))
			edits = []edit{pickOf(source, drop(files[source.IntN(len(files))]), move(files[source.IntN(len(files))], fmt.Sprint("m/", i)))}
		}
		if source.IntN(5) == 0 {
			h.on(fmt.Sprint("side", i), line[len(line)-1])
			side := h.commit(who, day, "side", put(fmt.Sprint("side/", i%3), numbered(i)))
			h.on("main", "")
			line = append(line, h.merge("ann", day, "Merge", side, put(fmt.Sprint("side/", i%3), numbered(i))))
			continue
		}
		line = append(line, h.commit(who, day, pick("fix", "add", "Revert \"x\""), edits...))
	}
	return h, line
}

func pickOf[T any](source *rand.Rand, of ...T) T { return of[source.IntN(len(of))] }

func TestAnIndexThatIsKeptAnswersAsOneThatIsMadeAnew(t *testing.T) {
	for seed := range uint64(2) {
		h, line := random(t, seed, 26)
		r := open(t, h.dir, Options{})
		kept := &Index{}
		source := rand.New(rand.NewPCG(seed, 2))
		for i := 3; i < len(line)-4; i += 2 + source.IntN(6) {
			to := i + source.IntN(4)
			got := measureWith(t, r, kept, line[i], line[to])
			if diff := cmp.Diff(measure(t, r, line[i], line[to]), got); diff != "" {
				t.Errorf("seed %d, %d to %d (-anew +kept):\n%s", seed, i, to, diff)
			}
			if err := r.Advance(t.Context(), kept, line[i]); err != nil { // further than a measure would go
				t.Fatal(err)
			}
			var read Index
			if err := read.UnmarshalBinary(stored(t, kept)); err != nil {
				t.Fatal(err)
			}
			if again := stored(t, &read); !bytes.Equal(again, stored(t, kept)) {
				t.Error("an index changes by being stored")
			}
			kept = &read
		}
	}
}

func TestAnIndexStaysBehindSoThatALiveReleaseCanGoBack(t *testing.T) {
	h := newHistory(t)
	const n = 2_600 // more than two chunks
	var script strings.Builder
	for i := range n {
		fmt.Fprintf(&script, "commit refs/heads/main\ncommitter a%d <a%d@x> %d +0000\ndata 1\nx\n%s", i%7, i%7, 1_600_000_000+i*3600, put(fmt.Sprint("d", i%5, "/f", i%50), fmt.Sprintln(i)))
	}
	plain(t, h.dir, script.String(), "fast-import", "--quiet")
	line := strings.Fields(h.git("rev-list", "--reverse", "main"))
	var told [][2]int
	r := open(t, h.dir, Options{Progress: func(done, total int) { told = append(told, [2]int{done, total}) }})
	x := &Index{}
	live := 2_500
	c := measureWith(t, r, x, line[live], line[live+1])
	expect(t, c, map[string]float64{"exp": float64((live + 1) / 7), "npriorchanges": 50, "ndev": 7, "age": 50.0 / 24})
	if want := line[live-lag]; x.Head() != want || x.Commits() != live-lag+1 {
		t.Errorf("the index is at %s with %d commits, want %s", x.Head(), x.Commits(), want)
	}
	if !slices.Contains(told, [2]int{2_000, live - lag + 1}) {
		t.Errorf("progress: %v", told)
	}
	head := x.Head()
	back := measureWith(t, r, x, line[live-100], line[live])
	expect(t, back, map[string]float64{"n_commits": 100, "commits_undone": 0})
	if len(back.Notes) != 1 || x.Head() != head { // of tags
		t.Errorf("going back within reach read the history again: %q", back.Notes)
	}
	older := measureWith(t, r, x, line[500], line[501])
	if diff := cmp.Diff(measure(t, r, line[500], line[501]).Measures, older.Measures); diff != "" {
		t.Errorf("an older release (-anew +kept):\n%s", diff)
	}
	if !strings.Contains(strings.Join(older.Notes, " "), "read again") || x.Head() != line[500-lag] {
		t.Errorf("notes %q, head %s", older.Notes, x.Head())
	}
}

func TestARewrittenHistoryIsReadAnew(t *testing.T) {
	h, _, _ := known(t)
	r := open(t, h.dir, Options{})
	x := &Index{}
	if err := r.Advance(t.Context(), x, "main"); err != nil {
		t.Fatal(err)
	}
	h.on("rewritten", "")
	live := h.commit("bob", "2022-01-01", "begin anew", put("api/a.py", numbered(3)))
	next := h.commit("bob", "2022-01-02", "go on", put("api/a.py", numbered(4)))
	h.git("update-ref", "-d", "refs/heads/main")
	h.git("tag", "-d", "v1", "v2")
	h.git("reflog", "expire", "--expire=now", "--all")
	h.git("gc", "--quiet", "--prune=now")
	c := measureWith(t, r, x, live, next)
	expect(t, c, map[string]float64{"exp": 1, "ndev": 1, "lt": 3, "npriorchanges": 1})
	if !strings.Contains(strings.Join(c.Notes, " "), "rewritten") {
		t.Errorf("notes %q", c.Notes)
	}
	if err := r.Advance(t.Context(), x, next); err != nil || x.Commits() != 2 || x.Authors() != 1 || x.Files() != 1 {
		t.Errorf("%v: %d commits, %d authors, %d files", err, x.Commits(), x.Authors(), x.Files())
	}
}

func TestAnIndexReadWithOtherOptionsIsNotUsed(t *testing.T) {
	h, line := random(t, 7, 25)
	x := &Index{}
	if err := open(t, h.dir, Options{Key: []byte("k")}).Advance(t.Context(), x, line[10]); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{"first parents": {FirstParent: true}, "roots": {Roots: []string{"c/d"}}, "key": {}} {
		y := x.clone()
		r := open(t, h.dir, o)
		if diff := cmp.Diff(measure(t, r, line[12], line[20]), measureWith(t, r, y, line[12], line[20])); diff != "" {
			t.Errorf("%s (-anew +kept):\n%s", name, diff)
		}
	}
}

func TestADamagedIndexIsRefusedAndLeavesTheOldOne(t *testing.T) {
	h, _, next := known(t)
	x := &Index{}
	if err := open(t, h.dir, Options{}).Advance(t.Context(), x, next); err != nil {
		t.Fatal(err)
	}
	data := stored(t, x)
	for i := range data {
		broken := slices.Clone(data)
		broken[i] ^= 0x55
		before := x.Head()
		if err := x.UnmarshalBinary(broken); adg.CodeOf(err) != adg.Invalid || x.Head() != before {
			t.Errorf("byte %d: %v", i, err)
		}
		if err := new(Index).UnmarshalBinary(data[:i]); adg.CodeOf(err) != adg.Invalid {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
}

func TestCommitsDatedBeyondAllCalendarsStayOneYear(t *testing.T) {
	var x Index
	x.reset("s", false)
	for range 3 {
		x.fold(commit{author: author{id: 1}, at: 1 << 50}, func(string) string { return "" })
	}
	if years := x.people[0].years; len(years) != 1 || years[0].commits != 3 {
		t.Errorf("three commits in the same far year are kept as %v", years)
	}
}
