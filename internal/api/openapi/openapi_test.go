package openapi

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
	"google.golang.org/protobuf/reflect/protoreflect"

	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

func TestPageLoadsNothingAndRunsNothing(t *testing.T) {
	page, err := Page()
	if err != nil {
		t.Fatal(err)
	}
	ids, links := map[string]bool{}, map[string]bool{}
	walk(t, page, func(n *html.Node) {
		switch n.Data {
		case "script", "img", "iframe", "link", "object", "form":
			t.Errorf("the page has a <%s>", n.Data)
		}
		for _, a := range n.Attr {
			switch {
			case a.Key == "id" && ids[a.Val]:
				t.Errorf("two elements have the id %s", a.Val)
			case a.Key == "id":
				ids[a.Val] = true
			case a.Key == "href":
				links[a.Val] = true
			case a.Key == "style" || strings.HasPrefix(a.Key, "on"):
				t.Errorf("<%s> has the attribute %s, which the policy of the page forbids", n.Data, a.Key)
			}
		}
	})
	if len(links) < 50 {
		t.Fatalf("the page has %d links: the test has gone blind", len(links))
	}
	for link := range links {
		if name, inside := strings.CutPrefix(link, "#"); inside && !ids[name] {
			t.Errorf("%s leads nowhere", link)
		} else if !inside && link != "/openapi.json" {
			t.Errorf("the page leads to %s", link)
		}
	}
}

func TestPageTellsEveryMethodWithALineForCurl(t *testing.T) {
	r, err := read(Document)
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]operation{}
	for _, s := range r.Services {
		if s.About == "" {
			t.Errorf("%s says nothing about itself", s.Name)
		}
		for _, o := range s.Operations {
			told[o.ID] = o
		}
	}
	for _, m := range methods() {
		id := string(m.Parent().Name()) + "_" + string(m.Name())
		o, ok := told[id]
		if !ok {
			t.Errorf("the page lacks %s", id)
			continue
		}
		if o.Stream != m.IsStreamingServer() {
			t.Errorf("%s: a stream is %v on the page", id, o.Stream)
		}
		if strings.Contains(o.Curl, "{"+"id}") || !strings.Contains(o.Curl, "$ADG_SERVER/v1/") {
			t.Errorf("%s: curl line %s", id, o.Curl)
		}
		if _, body, found := strings.Cut(o.Curl, "-d '"); found && !json.Valid([]byte(strings.TrimSuffix(body, "'"))) {
			t.Errorf("%s: the example is no JSON: %s", id, body)
		}
	}
}

func TestExampleHoldsWhatIsNecessaryAndNothingThatTheServerSets(t *testing.T) {
	r, err := read(Document)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"DeploymentService_StartDeployment": `curl -X POST -H "Authorization: Bearer $ADG_TOKEN" "$ADG_SERVER/v1/deployments" \
  -d '{"environment":"production","idempotencyKey":"build-4711","reason":"error rate looks wrong","release":{"service":"checkout","version":"1.42.0"}}'`,
		"LineService_CreateFreezeWindow": `curl -X POST -H "Authorization: Bearer $ADG_TOKEN" "$ADG_SERVER/v1/freezes" \
  -d '{"freeze":{"name":"friday","reason":"error rate looks wrong"},"idempotencyKey":"build-4711","reason":"error rate looks wrong"}'`,
	}
	for _, s := range r.Services {
		for _, o := range s.Operations {
			if diff := cmp.Diff(want[o.ID], o.Curl); want[o.ID] != "" && diff != "" {
				t.Error(diff)
			}
			delete(want, o.ID)
		}
	}
	for id := range want {
		t.Errorf("there is no %s", id)
	}
}

func TestHandlerServesTheDocumentAndThePage(t *testing.T) {
	for path, kind := range map[string]string{"/openapi.json": "application/json", "/docs/api": "text/html; charset=utf-8"} {
		answer := httptest.NewRecorder()
		Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
		if answer.Code != http.StatusOK || answer.Header().Get("Content-Type") != kind || answer.Body.Len() < 10_000 {
			t.Errorf("GET %s: %d %s, %d bytes", path, answer.Code, answer.Header().Get("Content-Type"), answer.Body.Len())
		}
	}
	answer := httptest.NewRecorder()
	Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/docs/api", nil))
	var css string
	walk(t, answer.Body.Bytes(), func(n *html.Node) {
		if n.Data == "style" {
			css = n.FirstChild.Data
		}
	})
	if !strings.Contains(answer.Header().Get("Content-Security-Policy"), "'sha256-"+digest(css)+"'") {
		t.Error("the policy of the page forbids its own style")
	}
}

func TestAnswersNameWhatIsAlwaysInThem(t *testing.T) {
	var s spec
	if err := json.Unmarshal(Document, &s); err != nil {
		t.Fatal(err)
	}
	summary := s.Components.Schemas["adg.v1.DeploymentSummary"].Required
	if !slices.Contains(summary, "state") || slices.Contains(summary, "predicted") || slices.Contains(summary, "endTime") {
		t.Errorf("of a DeploymentSummary there always are %v", summary)
	}
	if release := s.Components.Schemas["adg.v1.Release"].Required; !slices.Equal(release, []string{"service", "version"}) {
		t.Errorf("of a Release, which is sent, too, there have to be %v", release)
	}
}

func TestValuesOfEnumsAreExplained(t *testing.T) {
	var s spec
	if err := json.Unmarshal(Document, &s); err != nil {
		t.Fatal(err)
	}
	if about := s.Components.Schemas["adg.v1.State"].Description; !strings.Contains(about, "* `STATE_ROLLED_BACK`: The last good release is live and verified.") {
		t.Error(about)
	}
}

// TestErrorsAreDescribedAsTheyAre compares what is written by hand with the definition.
func TestErrorsAreDescribedAsTheyAre(t *testing.T) {
	var s spec
	if err := json.Unmarshal(Document, &s); err != nil {
		t.Fatal(err)
	}
	described := s.Components.Schemas["adg.v1.ErrorDetail"]
	want := []string{"@type"}
	fields := (&adgv1.ErrorDetail{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		want = append(want, fields.Get(i).JSONName())
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(described.Properties))); diff != "" {
		t.Error(diff)
	}
	var codes []string
	values := adgv1.ErrorCode(0).Descriptor().Values()
	for i := range values.Len() {
		codes = append(codes, string(values.Get(i).Name()))
	}
	if diff := cmp.Diff(codes, described.Properties["code"].Enum); diff != "" {
		t.Error(diff)
	}
}

func TestWhatComesFromTheDocumentCannotBecomeMarkup(t *testing.T) {
	var out bytes.Buffer
	evil := reading{Title: "<script>", Services: []service{{Name: "a", Operations: []operation{{ID: "x", Curl: "</code><script>"}}}}}
	if err := layout.Execute(&out, evil); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "<script>") {
		t.Error("text became markup")
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"tags":[{"name":"A"}],"paths":{"/v1/a/{id}":{"get":{"tags":["A"],"parameters":[{"name":"id","in":"path"}]}}}}`))
	f.Add([]byte(`{"components":{"schemas":{"a":{"properties":{"b":{"$ref":"#/components/schemas/a"}},"required":["b"]}}}}`))
	f.Add([]byte(`{"paths":{"/":{"post":{"tags":["A"],"requestBody":{"content":{"application/json":{"schema":{"$ref":"x"}}}}}}}}`))
	f.Fuzz(func(_ *testing.T, text []byte) {
		if r, err := read(text); err == nil {
			_ = layout.Execute(&bytes.Buffer{}, r)
		}
	})
}

func walk(t *testing.T, page []byte, visit func(*html.Node)) {
	t.Helper()
	tree, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range tree.Descendants() {
		if n.Type == html.ElementNode {
			visit(n)
		}
	}
}

func methods() []protoreflect.MethodDescriptor {
	var all []protoreflect.MethodDescriptor
	for _, file := range adgv1.Files() {
		for i := range file.Services().Len() {
			for j := range file.Services().Get(i).Methods().Len() {
				all = append(all, file.Services().Get(i).Methods().Get(j))
			}
		}
	}
	return all
}
