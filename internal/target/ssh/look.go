package ssh

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/deployguardian/adg"
)

// Private

const (
	atOnce    = 16          // hosts that are looked at at the same time
	clockSlip = time.Second // between the clocks that a start is computed from
)

// view is what a host says about itself.
type view struct {
	link *link
	err  error // it could not be looked at

	raw      string // the note as it stands there
	note     note
	current  string // what the link points to
	version  string // the release that it points to; empty: it is none
	linked   time.Time
	now      time.Time
	uptime   time.Duration
	missing  []string // programs
	readonly bool
	folders  map[string]bool
	unit     map[string]string
	log      string
	health   error
}

// crew is a link to every host; nothing is connected yet.
func (t *target) crew() []*link {
	links := make([]*link, len(t.o.Hosts))
	for i, host := range t.o.Hosts {
		links[i] = &link{t: t, host: host}
	}
	return links
}

func closeAll(links []*link) {
	for _, l := range links {
		l.close()
	}
}

// lookAt looks at every host, and for the folders of these versions.
func (t *target) lookAt(ctx context.Context, links []*link, versions ...string) []view {
	views := make([]view, len(links))
	each(len(links), atOnce, func(i int) {
		views[i] = links[i].look(ctx, versions)
		if views[i].err == nil && t.health != nil {
			views[i].health = links[i].wellness(ctx)
		}
	})
	return views
}

// each calls f for 0 to n-1, so many at the same time, and waits.
func each(n, limit int, f func(i int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, limit)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			f(i)
			<-slots
		})
	}
	wg.Wait()
}

func (l *link) look(ctx context.Context, versions []string) view {
	args := append(append([]string{}, versions...), "--")
	if l.t.o.Unit != "" {
		args = append(append(args, l.t.o.Systemctl...), "show", "-p", "LoadState,ActiveState,SubState,Result,MainPID,ExecMainStartTimestampMonotonic", "--", l.t.o.Unit)
	}
	out, err := l.run(ctx, l.t.o.Connect, "look", args...)
	if err != nil {
		return view{link: l, err: err}
	}
	v, err := parseLook(out)
	v.link = l
	if err != nil {
		v.err = adg.Errorf(adg.Unavailable, "%s: what it says about itself cannot be read: %s", l.name(), l.t.scrub(err.Error()))
	}
	v.log = l.t.tail([]byte(v.log))
	return v
}

// parseLook reads what host.sh prints for "look".
func parseLook(out []byte) (view, error) {
	v := view{folders: map[string]bool{}, unit: map[string]string{}}
	head, log, complete := bytes.Cut(out, []byte("\nlog\n"))
	if !complete {
		return v, errors.New("it is cut off")
	}
	v.log = string(log)
	for line := range strings.Lines(string(head)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		var err error
		switch key {
		case "note":
			v.raw = value
			if value != "" {
				err = json.Unmarshal([]byte(value), &v.note)
			}
		case "link":
			v.current, v.version = value, versionOf(value)
		case "linked":
			v.linked, err = seconds(value)
		case "now":
			v.now, err = seconds(value)
		case "uptime":
			var up time.Time
			up, err = seconds(value)
			v.uptime = up.Sub(time.Unix(0, 0))
		case "missing":
			v.missing = append(v.missing, value)
		case "readonly":
			v.readonly = true
		case "release":
			v.folders[value] = true
		case "unit":
			name, state, _ := strings.Cut(value, "=")
			v.unit[name] = state
		default:
			err = errors.New("an unknown line")
		}
		if err != nil {
			return v, fmt.Errorf("%s: %w", key, err)
		}
	}
	return v, nil
}

// seconds reads a time in seconds since 1970, or nothing.
func seconds(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || !(f >= 0 && f < 1e11) {
		return time.Time{}, errors.New("no time")
	}
	return time.UnixMicro(int64(f * 1e6)), nil
}

// versionOf is the release that current points to.
func versionOf(to string) string {
	folder, version := path.Split(strings.TrimSuffix(to, "/"))
	if path.Base(folder) != "releases" || adg.ValidVersion(version) != nil {
		return ""
	}
	return version
}

// started is when the unit's process began; zero: it is not known, or does not matter.
func (v view) started() time.Time {
	since, err := strconv.ParseInt(v.unit["ExecMainStartTimestampMonotonic"], 10, 64)
	if err != nil || since == 0 || v.link.t.o.Action != "restart" {
		return time.Time{}
	}
	return v.now.Add(-v.uptime).Add(time.Duration(since) * time.Microsecond)
}

// trouble says why the host does not run what its link says; empty: it does.
func (v view) trouble() string {
	unit := v.link.t.o.Unit
	started := v.started()
	switch {
	case v.current == "":
		return "there is no link " + v.link.t.o.Root + "/current"
	case v.version == "":
		return "current points to " + v.current + ", which is no release"
	case unit == "":
	case v.unit["LoadState"] == "":
		return "systemctl says nothing about " + unit
	case v.unit["LoadState"] != "loaded":
		return fmt.Sprintf("%s cannot be started: it is %s", unit, v.unit["LoadState"])
	case v.unit["ActiveState"] != "active":
		return fmt.Sprintf("%s is %s (%s, %s)", unit, v.unit["ActiveState"], v.unit["SubState"], v.unit["Result"])
	case !started.IsZero() && started.Before(v.linked.Add(-clockSlip)):
		return fmt.Sprintf("%s runs since before the link was changed: it runs another release", unit)
	}
	if v.health != nil {
		return v.health.Error()
	}
	return ""
}

// settled tells whether the unit has run long enough.
func (v view) settled() bool {
	started := v.started()
	return started.IsZero() || v.now.Sub(started) >= v.link.t.o.Settle
}

// wellness asks the host's health address.
func (l *link) wellness(ctx context.Context) error {
	name, _, _ := net.SplitHostPort(l.host) // checked when the options were read
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, healthOf(l.t.o.Health, name), nil)
	if err != nil {
		return err
	}
	_, err = l.t.health.Do(ctx, req)
	return err
}
