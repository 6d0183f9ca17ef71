package manifest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/importer/manifest"
)

func one(t *testing.T, text string) *manifest.Node {
	t.Helper()
	docs, err := manifest.Read("f", []byte(text))
	if err != nil || len(docs) != 1 {
		t.Fatalf("%d documents, %v", len(docs), err)
	}
	return docs[0]
}

// places are line:column and path of everything that nobody asked for.
func places(n *manifest.Node) string {
	var all []string
	for _, f := range n.Unread() {
		all = append(all, strings.Join([]string{f.Name, f.Value.Place.Path, string(rune('0' + f.Value.Place.Line)), string(rune('0' + f.Value.Place.Column))}, " "))
	}
	return strings.Join(all, "\n")
}

func TestWhatNobodyAskedForIsListedWithItsPlace(t *testing.T) {
	for _, c := range []struct{ name, text string }{
		{"YAML", "a: 1\nb:\n  c: [{d: 2, e: 3}]\n  f: 4\ng: {h: 5}\n"},
		{"JSON", "{\"a\": 1,\n\"b\":\n  {\"c\": [{\"d\": 2, \"e\": 3}],\n  \"f\": 4},\n\"g\": {\"h\": 5}}\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc := one(t, c.text)
			if doc.Get("a").Text() != "1" || doc.Get("b", "c").Items()[0].Get("d").Text() != "2" || !doc.Has("g") {
				t.Fatal("read as something else")
			}
			var got []string
			for _, f := range doc.Unread() {
				got = append(got, f.Value.Place.Path)
			}
			if diff := cmp.Diff([]string{"b.c[0].e", "b.f", "g"}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPlacesAreThoseOfTheFieldsNames(t *testing.T) {
	doc := one(t, "a: 1\nb:\n  - c: 2\n  - d\n")
	b := doc.Get("b")
	if got := places(doc); got != "a a 1 1\nc b[0].c 3 5" {
		t.Errorf("%q", got)
	}
	if p := b.Items()[0].Place; p.Line != 3 || p.Path != "b[0]" {
		t.Errorf("%+v", p)
	}
	if p := b.Items()[1].Place; p.Line != 4 || p.Column != 5 {
		t.Errorf("%+v", p)
	}
}

func TestWhatIsNotThereCanBeAskedForAllTheSame(t *testing.T) {
	doc := one(t, "a: null\nb: x\n")
	missing := doc.Get("a", "b", "c")
	if missing != nil || doc.Get("a") != nil || doc.Has("a") || missing.Text() != "" || len(missing.Items()) != 0 || len(missing.Fields()) != 0 || missing.True() || missing.String() != "" {
		t.Error("nothing is something")
	}
	missing.Skip("x")
	if _, ok := missing.Number(); ok {
		t.Error("nothing is a number")
	}
	if doc.Get("b").Get("c") != nil {
		t.Error("a text has fields")
	}
}

func TestScalarsAreReadInEveryNotation(t *testing.T) {
	doc := one(t, "a: 10\nb: '10'\nc: 1.5\nd: true\ne: |\n  two\n  lines\nf: 1h30m\ng: &x 7\nh: *x\ni: !!str 8\nj: 1_000\n")
	for name, want := range map[string]string{"a": "10", "b": "10", "c": "1.5", "d": "true", "e": "two\nlines\n", "g": "7", "h": "7", "i": "8", "j": "1000"} {
		if got := doc.Get(name).Text(); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]time.Duration{"a": 10 * time.Second, "b": 10 * time.Second, "c": 1500 * time.Millisecond, "f": 90 * time.Minute} {
		if got, ok := doc.Get(name).Duration(time.Second); !ok || got != want {
			t.Errorf("%s takes %s, want %s", name, got, want)
		}
	}
	for _, text := range []string{"-5", "-1m", "1e300", "NaN", "x", "400000h"} {
		if got, ok := one(t, "a: '"+text+"'").Get("a").Duration(time.Second); ok || got != 0 {
			t.Errorf("%s takes %s", text, got)
		}
	}
}

func TestMergedFieldsAreThere(t *testing.T) {
	doc := one(t, "base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\n")
	if x := doc.Get("use", "x").Text(); x != "1" {
		t.Errorf("x is %q", x)
	}
}

func TestSeveralDocumentsAreRead(t *testing.T) {
	for name, text := range map[string]string{
		"YAML": "%YAML 1.2\n---\na: 1\n---\nb: 2\n...\n", "with an empty one between": "a: 1\n---\n# nothing\n--- # nor here\n---\nb: 2\n---\n",
		"after a text of several lines": "a: |\n  ---\n  x\n---\n---\nb: 2\n", "JSON": `{"a": 1} {"b": 2}`,
	} {
		docs, err := manifest.Read("f", []byte(text))
		if err != nil || len(docs) != 2 || docs[1].Get("b").Text() != "2" {
			t.Errorf("%s: %d documents, %v", name, len(docs), err)
		}
	}
}

func TestTextsPastTheBoundsAreRefused(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"bytes", strings.Repeat("a", manifest.MaxBytes+1), "larger than"},
		{"lines", strings.Repeat("#\n", 20_001), "lines"},
		{"blank lines", "a: 1" + strings.Repeat("\n", 200) + "b: 2", "blank lines"},
		{"words", "a: [" + strings.Repeat("1, ", 20_000) + "1]", "words and signs"},
		{"depth", "a: " + strings.Repeat("[", 150) + strings.Repeat("]", 150), "levels deep"},
		{"no text", "a: \xff", "UTF-8"},
		{"a null byte", "a: \x00", "UTF-8"},
		{"an alias without anchor", "a: *b", "no anchor"},
		{"a field that is a list", "[a, b]: c", "no YAML"},
		{"values of JSON", `{"a": [` + strings.Repeat("1,", 60_000) + "1]}", "more than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := manifest.Read("f", []byte(c.text)); adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestErrorsRepeatNothingOfTheText(t *testing.T) {
	for _, text := range []string{"password: \"sesame\nb: 1", "password: sesame: x\n- b", "a: [sesame\n"} {
		if _, err := manifest.Read("f", []byte(text)); err == nil || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%v", err)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{"a: 1\n---\nb: [x, {y: z}]\n", `{"a": [1, null, "x\ny"]}`, "a: &b {c: d}\ne: *b\n<<: *b\n", "? a\n: b\n", "- - - a\n", "%YAML 1.2\n---\n!!map {a: !x b}\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		docs, err := manifest.Read("f", text)
		if err != nil && adg.CodeOf(err) != adg.Invalid {
			t.Fatalf("%v", err)
		}
		for _, doc := range docs {
			for _, f := range doc.Unread() {
				if f.Value.Place.Line < 1 || f.Value.Place.Column < 1 {
					t.Errorf("%s stands nowhere: %+v", f.Name, f.Value.Place)
				}
			}
			_ = doc.String()
			if rest := doc.Unread(); len(rest) > 0 {
				t.Errorf("%s is unread after all was read", rest[0].Name)
			}
		}
	})
}
