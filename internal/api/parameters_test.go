package api_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
)

// violations are the fields that an answer says are wrong, each with what is wrong.
func violations(answer map[string]any) map[string]string {
	all := map[string]string{}
	details, _ := answer["details"].([]any)
	for _, d := range details {
		list, _ := d.(map[string]any)["fieldViolations"].([]any)
		for _, v := range list {
			one := v.(map[string]any)
			field, _ := one["field"].(string)
			all[field], _ = one["description"].(string)
		}
	}
	return all
}

func TestParametersThatMeanNothingAreRefused(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct{ name, method, address, field, says string }{
		{"a field that is written otherwise", "GET", "/v1/deployments?service=shop", "service", "did you mean services?"},
		{"a name from elsewhere", "GET", "/v1/deployments?limit=7", "limit", "there are services, environments"},
		{"an address that takes none", "GET", "/v1/system/health?verbose=1", "verbose", "takes no parameters"},
		{"what belongs into the body", "POST", "/v1/deployments?idempotency_key=x", "idempotency_key", "say it in the body"},
		{"what stands in the path", "GET", "/v1/deployments/d0?id=d1", "id", "in the path already"},
		{"a part of what has no parts", "GET", "/v1/deployments?from_time.seconds=7", "from_time.seconds", "no parameter"},
		{"a place in a list", "GET", "/v1/deployments?services[0]=shop", "services[0]", "no parameter"},
		{"two values of one", "GET", "/v1/deployments?pageSize=1&pageSize=2", "pageSize", "is there 2 times"},
		{"the same by its other name", "GET", "/v1/deployments?pageSize=1&page_size=2", "page_size", "is there 2 times"},
		{"a value that is none", "GET", "/v1/deployments?page_size=many", "page_size", "no value"},
		{"a word that is none", "GET", "/v1/deployments?states=BROKEN", "states", "no value"},
		{"of a delete", "DELETE", "/v1/users/vic?force=true", "force", "no parameter"},
		{"of a stream", "GET", "/v1/events:stream?since=7", "since", "no parameter"},
	} {
		code, answer := b.ask(b.admin, c.method, c.address, "")
		if got := violations(answer); code != http.StatusBadRequest || !strings.Contains(got[c.field], c.says) || len(got) != 1 {
			t.Errorf("%s: %d %v", c.name, code, answer)
		}
	}
	for _, well := range []string{
		"/v1/deployments?services=shop&services=till&page_size=7&live=true&fromTime=2026-01-01T00:00:00Z&order=DEPLOYMENT_ORDER_WORST", "/v1/system/health", "/v1/system/health?",
	} {
		if code, answer := b.ask(b.admin, "GET", well, ""); code != http.StatusOK {
			t.Errorf("%s: %d %v", well, code, answer)
		}
	}
	code, answer := b.ask(b.admin, "GET", "/v1/deployments?"+strings.Repeat("x", 5000)+"=1&bad=%zz", "")
	if code != http.StatusBadRequest || len(mustJSON(answer)) > 4096 {
		t.Errorf("what cannot be read: %d, %d bytes", code, len(mustJSON(answer)))
	}
}

func TestNoMethodIgnoresAParameter(t *testing.T) {
	b := newBench(t)
	asked := 0
	for _, rpc := range rpcs() {
		rule, _ := proto.GetExtension(rpc.Options(), annotations.E_Http).(*annotations.HttpRule)
		for method, path := range map[string]string{"GET": rule.GetGet(), "PUT": rule.GetPut(), "POST": rule.GetPost(), "DELETE": rule.GetDelete(), "PATCH": rule.GetPatch()} {
			if path == "" {
				continue
			}
			asked++
			address := strings.NewReplacer("{", "", "}", "").Replace(path) + "?" + url.Values{"no_such": {"x"}}.Encode()
			if code, answer := b.ask(b.admin, method, address, "{}"); code != http.StatusBadRequest || violations(answer)["no_such"] == "" {
				t.Errorf("%s %s: %d %v", method, address, code, answer)
			}
		}
	}
	if asked < 90 {
		t.Fatalf("asked for %d addresses: the test has gone blind", asked)
	}
}
