package haproxy

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Answers of HAProxy 2.6.12, shortened to the columns that matter and some that do not.
const (
	statesText = `1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_fqdn srv_port
3 shop 1 b1 127.0.0.1 2 0 247 1 - 18081
3 shop 2 g1 ::1 0 8 13 1 - 18082
4 other 1 b1 127.0.0.1 2 0 1 1 - 18083

`
	statText = `# pxname,svname,qcur,scur,slim,status,weight,check_status,last_chk,
shop,b1,1,4,200,UP,247,* L7OK,"OK, ""fine""",
shop,g1,0,0,,DOWN 1/2,13,L4CON,refused,
other,b1,0,9,,UP,1,L4OK,,
`
)

func TestWhatHAProxySaysIsRead(t *testing.T) {
	servers, err := parseStates(statesText, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if err := addStats(servers, statText, "shop"); err != nil {
		t.Fatal(err)
	}
	want := []server{
		{name: "b1", addr: "127.0.0.1:18081", weight: 247, running: true, status: "UP", check: "L7OK", sessions: 5, limit: 200},
		{name: "g1", addr: "[::1]:18082", weight: 13, admin: 8, status: "DOWN 1/2", check: "L4CON"},
	}
	if diff := cmp.Diff(want, servers, cmp.AllowUnexported(server{})); diff != "" {
		t.Error(diff)
	}
}

func TestAnAnswerThatIsCutOffOrForeignIsAnError(t *testing.T) {
	for _, c := range []struct{ name, text, says string }{
		{"nothing", "", "HAProxy answered"},
		{"an error", "Can't find backend.\n", "Can't find backend"},
		{"another format", "2\n# be_name\n", "HAProxy answered"},
		{"the header only", strings.Join(strings.SplitAfter(statesText, "\n")[:2], ""), "no server in backend shop"},
		{"a line cut off", statesText[:strings.Index(statesText, " 2 0 247")], "cannot be understood"},
		{"no header", "1\n3 shop 1 b1 127.0.0.1 2 0 247 1 - 18081\n", "no server in backend shop"},
		{"a weight below zero", strings.Replace(statesText, "247", "-7", 1), "cannot be understood"},
	} {
		if _, err := parseStates(c.text, "shop"); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		}
	}
	servers := func() []server { s, _ := parseStates(statesText, "shop"); return s }
	for _, c := range []struct{ name, text, says string }{
		{"nothing", "", "HAProxy answered"},
		{"an error", "Permission denied\n", "Permission denied"},
		{"one server only", statText[:strings.Index(statText, "shop,g1")], "nothing about server shop/g1"},
		{"a line cut off", statText[:strings.Index(statText, "DOWN")], "no status"},
		{"sessions that are no number", strings.Replace(statText, ",1,4,", ",1,x,", 1), "scur"},
		{"a limit that is no number", strings.Replace(statText, ",200,", ",-1,", 1), "slim"},
	} {
		if err := addStats(servers(), c.text, "shop"); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		}
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add(statesText, statText)
	f.Add("1\n", "# ")
	f.Add("1\n# srv_name\n\n", "# pxname\n\"")
	f.Fuzz(func(t *testing.T, states, stat string) {
		servers, err := parseStates(states, "shop")
		if err != nil {
			return
		}
		for _, h := range servers {
			if h.name == "" || h.weight < 0 || h.admin < 0 {
				t.Fatalf("accepted %+v", h)
			}
		}
		if addStats(servers, stat, "shop") != nil {
			return
		}
		for _, h := range servers {
			if h.status == "" || h.sessions < 0 || h.limit < 0 || strings.ContainsAny(h.status+h.check, "\n\x1b") {
				t.Fatalf("accepted %+v", h)
			}
		}
	})
}

func FuzzVersion(f *testing.F) {
	f.Add([]byte("v1\n"))
	f.Add([]byte(`{"version":"v2","ok":true}`))
	f.Add([]byte("<html>"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if v := parseVersion(body); strings.ContainsAny(v, " \n<>\"'$;") || len(v) > 128 {
			t.Errorf("accepted %q", v)
		}
	})
}

func TestVersionsAreReadAloneOrInJSON(t *testing.T) {
	for body, want := range map[string]string{
		"v1\n": "v1", `{"version":"v2","up":true}`: "v2", `{"name":"shop"}`: "", "<html>v1</html>": "", "": "", "1": "1", `"v1"`: "",
	} {
		if got := parseVersion([]byte(body)); got != want {
			t.Errorf("%q: %q, want %q", body, got, want)
		}
	}
}

func TestWeightsGiveTheSharesAsCloselyAsWholeNumbersCan(t *testing.T) {
	for _, c := range []struct {
		name   string
		shares []float64
		counts []int
		want   []int
	}{
		{"all to one", []float64{100, 0}, []int{2, 2}, []int{256, 0}},
		{"half and half", []float64{50, 50}, []int{1, 1}, []int{256, 256}},
		{"5 %", []float64{95, 5}, []int{1, 1}, []int{247, 13}},
		{"a tiny share is no zero", []float64{99.99, 0.01}, []int{1, 1}, []int{256, 1}},
		{"slots of different size", []float64{50, 50}, []int{4, 1}, []int{64, 256}},
		{"nothing", []float64{0, 0}, []int{1, 1}, []int{0, 0}},
	} {
		if got := weigh(c.shares, c.counts); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestWeightsAreInRangeAndNoShareIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5).Draw(t, "slots")
		shares, counts, left := make([]float64, n), make([]int, n), 100.0
		for i := range n {
			counts[i] = rapid.IntRange(1, 8).Draw(t, "servers")
			shares[i] = left
			if i < n-1 {
				shares[i] = rapid.SampledFrom([]float64{0, left / 100, left / 20, left / 4, left / 2, left}).Draw(t, "share")
			}
			left -= shares[i]
		}
		weights, total, servers := weigh(shares, counts), 0, 0
		for i, w := range weights {
			if w < 0 || w > maxWeight || (w == 0) != (shares[i] == 0) {
				t.Fatalf("shares %v, servers %v: weights %v", shares, counts, weights)
			}
			total += w * counts[i]
			if w > 0 {
				servers += counts[i]
			}
		}
		for i, w := range weights {
			got := 100 * float64(w*counts[i]) / float64(total)
			// Each server's weight is off by 1 at most: that is what the smallest share above zero may cost.
			if math.Abs(got-shares[i]) > 100*float64(servers)/float64(total) {
				t.Fatalf("shares %v, servers %v: weights %v give %.2f %%, want %.2f %%", shares, counts, weights, got, shares[i])
			}
		}
	})
}

func TestServerThatTheConfigurationDisabledAndAnOperatorEnabledIsReady(t *testing.T) {
	if s := (server{admin: 0x04}); !s.ready() {
		t.Error("taken for a server in maintenance: HAProxy keeps the mark of the configuration for ever")
	}
	for _, admin := range []int{0x01, 0x02, 0x20, 0x40, 0x05} {
		if s := (server{admin: admin}); s.ready() {
			t.Errorf("admin state %#x is taken for ready", admin)
		}
	}
}
