package witness

import (
	"strings"
	"testing"

	"github.com/deployguardian/adg"
)

func TestTheVersionThatIsLiveIsReadWhereThePolicySays(t *testing.T) {
	for _, c := range []struct{ name, body, path, want string }{
		{"the whole answer", "v41\n", "", "v41"},
		{"a field", `{"version":"v41"}`, "version", "v41"},
		{"a field of a field, written as JSONPath", `{"build":{"version":"v41"}}`, "$.build.version", "v41"},
		{"an entry of a list", `{"items":[{"tag":"v40"},{"tag":"v41"}]}`, "items.1.tag", "v41"},
		{"a number", `{"build":17}`, "build", "17"},
		{"a field that is not there", `{"build":{}}`, "build.version", ""},
		{"an entry that is not there", `{"items":[]}`, "items.0", ""},
		{"an entry before the first", `{"items":["v41"]}`, "items.-1", ""},
		{"an object instead of a version", `{"build":{"version":"v41"}}`, "build", ""},
		{"nothing", `{"version":null}`, "version", ""},
		{"a page of an error", "<html>502</html>", "", ""},
		{"a page of an error instead of JSON", "<html>502</html>", "version", ""},
		{"a hostile version", `{"version":"v41; rm -rf /"}`, "version", ""},
		{"an empty answer", "", "", ""},
	} {
		got, err := liveVersion([]byte(c.body), c.path)
		if (err != nil) != (c.want == "") || err == nil && got != c.want {
			t.Errorf("%s: %q, %v, want %q", c.name, got, err, c.want)
		}
	}
}

func FuzzLiveVersion(f *testing.F) {
	f.Add([]byte(`{"items":[{"tag":"v41"}]}`), "items.0.tag")
	f.Add([]byte("v41"), "")
	f.Fuzz(func(t *testing.T, body []byte, path string) {
		if version, err := liveVersion(body, path); err == nil && adg.ValidVersion(version) != nil {
			t.Errorf("accepted %q", version)
		}
	})
}

func TestAPathWithoutAnAddressAndAForeignAddressAreProblems(t *testing.T) {
	for _, c := range []struct {
		name, url, path, says string
	}{
		{"neither", "", "", ""},
		{"an address", "https://shop.example.com/version", "build.version", ""},
		{"a path alone", "", "build.version", "verify.path"},
		{"an address of another kind", "ftp://shop.example.com/version", "", "verify.url"},
	} {
		err := Options{URL: c.url, Path: c.path}.Validate()
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
