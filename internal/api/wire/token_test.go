package wire_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

func TestPageTokenLeadsToTheNextPageOfTheSameList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		request := &adgv1.ListDeploymentsRequest{
			Services: rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "services"), Live: rapid.Bool().Draw(t, "live"), PageSize: rapid.Int32().Draw(t, "size"),
		}
		position := rapid.StringN(1, 100, 1000).Draw(t, "position")
		next := proto.Clone(request).(*adgv1.ListDeploymentsRequest)
		next.PageToken, next.PageSize = wire.PageToken(request, position), rapid.Int32().Draw(t, "other size")
		if got, err := wire.ReadPageToken(next); err != nil || got != position {
			t.Fatalf("position %q comes back as %q (%v)", position, got, err)
		}
		// Going on from the second page gives the same token as going on from the first.
		if wire.PageToken(next, position) != next.PageToken {
			t.Fatal("the token depends on the page that it was made on")
		}
	})
}

func TestPageTokenOfAnotherRequestIsRefused(t *testing.T) {
	request := &adgv1.ListDeploymentsRequest{Services: []string{"shop"}}
	token := wire.PageToken(request, "shop-2.0-x")
	letters := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=. "
	for i := range len(token) {
		for _, c := range letters {
			changed := token[:i] + string(c) + token[i+1:]
			if changed == token {
				continue
			}
			if _, err := wire.ReadPageToken(&adgv1.ListDeploymentsRequest{Services: []string{"shop"}, PageToken: changed}); adg.CodeOf(err) != adg.Invalid {
				t.Fatalf("%s in place of %s: %v", changed, token, err)
			}
		}
	}
	for name, other := range map[string]wire.Listing{
		"another filter":      &adgv1.ListDeploymentsRequest{Services: []string{"cart"}, PageToken: token},
		"no filter":           &adgv1.ListDeploymentsRequest{PageToken: token},
		"another list":        &adgv1.ListHoldsRequest{Services: []string{"shop"}, PageToken: token},
		"cut off":             &adgv1.ListDeploymentsRequest{Services: []string{"shop"}, PageToken: token[:10]},
		"without a position":  &adgv1.ListDeploymentsRequest{Services: []string{"shop"}, PageToken: token[:16]},
		"longer than allowed": &adgv1.ListDeploymentsRequest{Services: []string{"shop"}, PageToken: strings.Repeat("A", 5000)},
	} {
		if _, err := wire.ReadPageToken(other); adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFirstAndLastPageHaveNoToken(t *testing.T) {
	request := &adgv1.ListHoldsRequest{}
	if position, err := wire.ReadPageToken(request); position != "" || err != nil {
		t.Errorf("the first page begins at %q (%v)", position, err)
	}
	if token := wire.PageToken(request, ""); token != "" {
		t.Errorf("after the last page comes %q", token)
	}
}

func TestPageSizeIsBounded(t *testing.T) {
	for _, c := range []struct {
		name string
		asks int32
		want int
	}{
		{"nobody asked", 0, 100},
		{"a few", 7, 7},
		{"too many", 5000, 1000},
	} {
		if got, err := wire.ReadPageSize(&adgv1.ListHoldsRequest{PageSize: c.asks}, 100, 1000); err != nil || got != c.want {
			t.Errorf("%s: %d rows (%v), want %d", c.name, got, err, c.want)
		}
	}
	if _, err := wire.ReadPageSize(&adgv1.ListHoldsRequest{PageSize: -1}, 100, 1000); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("fewer than none: %v", err)
	}
}

func TestEtagStandsForOneVersion(t *testing.T) {
	for _, version := range []int64{0, 1, 42, 1<<63 - 1} {
		if got, err := wire.ReadEtag(wire.Etag(version), adg.AnyVersion); err != nil || got != version {
			t.Errorf("version %d comes back as %d (%v)", version, got, err)
		}
	}
	if got, err := wire.ReadEtag("", adg.AnyVersion); err != nil || got != adg.AnyVersion {
		t.Errorf("no etag is version %d (%v)", got, err)
	}
	for _, bad := range []string{"1", "v", "v-1", "v01", "v+1", "v1 ", "V1", `"v1"`, "v9223372036854775808", wire.DeploymentEtag(rolling())} {
		if _, err := wire.ReadEtag(bad, 0); adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestDeploymentEtagChangesWithWhatACommandIsGivenFor(t *testing.T) {
	before := wire.DeploymentEtag(rolling())
	for _, c := range []struct {
		name   string
		change func(*adg.Deployment)
		other  bool
	}{
		{"another deployment", func(d *adg.Deployment) { d.ID = "y" }, true},
		{"another state", func(d *adg.Deployment) { d.Status.State = adg.Held }, true},
		{"the same state again", func(d *adg.Deployment) { d.Status.Since = noon }, true},
		{"another step", func(d *adg.Deployment) { d.Status.Step = 1 }, true},
		{"another phase", func(d *adg.Deployment) { d.Status.Phase = 1 }, true},
		{"an approval is asked for", func(d *adg.Deployment) { d.Status.Asked = noon }, true},
		{"an approval is given", func(d *adg.Deployment) { d.Status.Approved = "eve" }, true},
		{"a look that changed nothing", func(d *adg.Deployment) {
			d.Version, d.Status.Ticked, d.Status.Good, d.Status.Score, d.Status.Health = 8, noon.Add(time.Minute), time.Hour, 12, adg.Degraded
		}, false},
		{"a store that keeps microseconds", func(d *adg.Deployment) { d.Status.Since = d.Status.Since.Add(7).Local() }, false},
	} {
		d := rolling()
		c.change(&d)
		if got := wire.DeploymentEtag(d); (got != before) != c.other {
			t.Errorf("%s: changed %t", c.name, got != before)
		}
	}
}

func TestDeliveryIsFoundByItsID(t *testing.T) {
	d := adg.Delivery{Notifier: "ops-chat", Fact: adg.Fact{ID: "shop-2.0-x/page/7.1"}}
	id := wire.DeliveryID(d)
	if strings.ContainsAny(id, "/:?#% ") {
		t.Errorf("%s does not fit into an address", id)
	}
	notifier, fact, err := wire.ReadDeliveryID(id)
	if err != nil || notifier != d.Notifier || fact != d.Fact.ID {
		t.Errorf("%s, %s, %v", notifier, fact, err)
	}
	for _, bad := range []string{"", "x", id[:8], id + "=", strings.Repeat("A", 6000)} {
		if _, _, err := wire.ReadDeliveryID(bad); adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
}

func TestTimesAreReadInTheirBounds(t *testing.T) {
	if got, err := wire.ReadTimestamp("from_time", nil); !got.IsZero() || err != nil {
		t.Errorf("no time is %s (%v)", got, err)
	}
	if got, err := wire.ReadTimestamp("from_time", timestamppb.New(noon)); !got.Equal(noon) || err != nil {
		t.Errorf("noon is %s (%v)", got, err)
	}
	if _, err := wire.ReadTimestamp("from_time", &timestamppb.Timestamp{Seconds: 1 << 60}); adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), "from_time") {
		t.Errorf("the year 36,000,000,000: %v", err)
	}
	if wire.Timestamp(time.Time{}) != nil || wire.Duration(0) != nil {
		t.Error("what is zero is set")
	}
	if got, err := wire.ReadDuration("bucket", wire.Duration(time.Hour)); got != time.Hour || err != nil {
		t.Errorf("an hour is %s (%v)", got, err)
	}
	for _, bad := range []time.Duration{-1, -time.Hour} {
		if _, err := wire.ReadDuration("bucket", wire.Duration(bad)); adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func FuzzPageToken(f *testing.F) {
	request := &adgv1.ListHoldsRequest{Services: []string{"shop"}}
	for _, position := range []string{"a", "shop/production/2.0", "\x00"} {
		f.Add(wire.PageToken(request, position))
	}
	f.Add("====")
	f.Fuzz(func(t *testing.T, token string) {
		position, err := wire.ReadPageToken(&adgv1.ListHoldsRequest{Services: []string{"shop"}, PageToken: token})
		if err != nil && (adg.CodeOf(err) != adg.Invalid || position != "") {
			t.Errorf("%q: position %q, %v", token, position, err)
		}
		if err == nil && wire.PageToken(request, position) != token {
			t.Errorf("%q is read as %q, which has another token", token, position)
		}
	})
}

func FuzzEtag(f *testing.F) {
	for _, seed := range []string{"v1", "v0", "", "v-1", "v99999999999999999999", "w1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, etag string) {
		version, err := wire.ReadEtag(etag, 5)
		if err != nil && adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%q: %v", etag, err)
		}
		if err == nil && etag != "" && wire.Etag(version) != etag {
			t.Errorf("%q is read as %d, which has another etag", etag, version)
		}
	})
}

func FuzzDeliveryID(f *testing.F) {
	f.Add(wire.DeliveryID(adg.Delivery{Notifier: "chat", Fact: adg.Fact{ID: "x/held/3"}}))
	f.Add("Lw")
	f.Fuzz(func(t *testing.T, id string) {
		notifier, fact, err := wire.ReadDeliveryID(id)
		if err == nil && wire.DeliveryID(adg.Delivery{Notifier: notifier, Fact: adg.Fact{ID: fact}}) != id {
			t.Errorf("%q is read as %q and %q, which have another id", id, notifier, fact)
		}
	})
}
