package adg_test

import (
	"strings"
	"testing"

	"github.com/deployguardian/adg"
)

func plainly(_, value string) string { return value }

func TestVariablesAreReplacedByTheirValues(t *testing.T) {
	vars := map[string]string{"version": "v2", "window": "1m", "_x9": "x", "dollar": "$version"}
	for text, want := range map[string]string{
		"":                             "",
		"up":                           "up",
		"$version":                     "v2",
		"rate(x[$window])":             "rate(x[1m])",
		`{version="$version"}`:         `{version="v2"}`,
		"${version}3":                  "v23",
		"$version$window":              "v21m",
		"$version.$window":             "v2.1m",
		"$_x9":                         "x",
		"$$version":                    "$version",
		"$$$version":                   "$v2",
		"ends in $":                    "ends in $",
		"ends in $$":                   "ends in $",
		"$1 and $ and $-":              "$1 and $ and $-",
		"${} ${1} ${version ${a-b}":    "${} ${1} ${version ${a-b}",
		"a value is not read: $dollar": "a value is not read: $version",
		"größer $version":              "größer v2",
	} {
		if got, err := adg.Expand(text, vars, plainly); err != nil || got != want {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestAnUnknownVariableIsNamedWithTheKnownOnes(t *testing.T) {
	_, err := adg.Expand("x{v=\"${versoin}\"}", map[string]string{"window": "1m", "version": "v2"}, plainly)
	if err == nil || err.Error() != "unknown variable $versoin: known are $version, $window" || adg.CodeOf(err) != adg.Invalid {
		t.Error(err)
	}
	_, err = adg.Expand("$versions", map[string]string{"version": "v2"}, plainly)
	if err == nil {
		t.Error("the longest name counts, not one that fits")
	}
}

func TestValuesAreEscapedForWhereTheyStand(t *testing.T) {
	var seen []string
	escape := func(before, value string) string {
		seen = append(seen, before)
		if strings.HasSuffix(before, `=~"`) {
			return strings.ReplaceAll(value, ".", `\\.`)
		}
		return value
	}
	got, err := adg.Expand(`a{v="$v"} b{v=~"$v"}`, map[string]string{"v": "1.2"}, escape)
	if err != nil || got != `a{v="1.2"} b{v=~"1\\.2"}` {
		t.Errorf("%s, %v", got, err)
	}
	if len(seen) != 2 || seen[0] != `a{v="` || seen[1] != `a{v="1.2"} b{v=~"` {
		t.Errorf("escaped after %q", seen)
	}
}

func FuzzExpand(f *testing.F) {
	for _, seed := range []string{"$$", "${name}", "$unknown", "$name$name", "${", "$", "${name", "$${name}", "a $name b", "\xff$name", "${na me}"} {
		f.Add(seed, "value")
	}
	f.Add("$name", "$name ${name} $$")
	f.Fuzz(func(t *testing.T, text, value string) {
		vars := map[string]string{"name": value}
		replaced := 0
		got, err := adg.Expand(text, vars, func(_, v string) string {
			if v != value {
				t.Errorf("asked to escape %q, and the value is %q", v, value)
			}
			replaced++
			return ""
		})
		if err != nil && (adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), "known are $name") || got != "") {
			t.Fatalf("%q: %q, %v", text, got, err)
		}
		if !strings.Contains(text, "$") && (err != nil || got != text) {
			t.Fatalf("%q became %q, %v", text, got, err)
		}
		if n := strings.Count(text, "name"); replaced > n {
			t.Fatalf("%q names the variable at most %d times, and %d were replaced", text, n, replaced)
		}
		quoted, err := adg.Expand(strings.ReplaceAll(text, "$", "$$"), nil, plainly)
		if err != nil || quoted != text {
			t.Fatalf("%q with each $ doubled became %q, %v", text, quoted, err)
		}
	})
}
