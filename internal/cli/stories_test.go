package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/contexts"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// living is a deployment in a state of its life.
func living(version int64, state adgv1.State, reasons ...string) *adgv1.Deployment {
	return &adgv1.Deployment{
		Id: "d1", Version: version, Etag: fmt.Sprint(version), Environment: "production", Release: &adgv1.Release{Service: "checkout", Version: "1.4.2"},
		Policy: &adgv1.Policy{
			Strategy: &adgv1.Strategy{Steps: []*adgv1.Step{{Share: 25, Bake: durationpb.New(time.Minute)}, {Share: 100}}},
			Verify:   []*adgv1.Phase{{Name: "short", Duration: durationpb.New(time.Hour)}},
		},
		Status: &adgv1.Status{State: state, Health: adgv1.Health_HEALTH_HEALTHY, Score: 98, Reasons: reasons},
	}
}

// sends is a watch that sends these, and then ends with an error or waits for its end.
func sends(err error, waits bool, all ...*adgv1.Deployment) func(grpc.ServerStream) error {
	return func(s grpc.ServerStream) error {
		for _, d := range all {
			if err := s.SendMsg(&adgv1.WatchDeploymentResponse{Deployment: d, Time: timestamppb.Now()}); err != nil {
				return err
			}
		}
		if waits {
			<-s.Context().Done()
			return s.Context().Err()
		}
		return err
	}
}

var startLine = []string{"deploy", "start", "-s", "checkout", "-e", "production", "--version", "1.4.2", "--wait"}

func TestWaitingEndsWithTheExitCodeOfTheDeployment(t *testing.T) {
	for state, want := range map[adgv1.State]int{
		adgv1.State_STATE_SUCCEEDED: ExitGood, adgv1.State_STATE_ROLLED_BACK: ExitRolledBack, adgv1.State_STATE_BLOCKED: ExitBlocked,
		adgv1.State_STATE_ROLLBACK_FAILED: ExitRollbackFailed, adgv1.State_STATE_UNDECIDED: ExitUndecided, adgv1.State_STATE_CANCELLED: ExitUndecided,
		adgv1.State_STATE_SUPERSEDED: ExitUndecided,
	} {
		t.Run(spoken(state), func(t *testing.T) {
			serve(t, &fakeServer{
				answers: map[string]func(proto.Message) (proto.Message, error){"StartDeployment": says(living(1, adgv1.State_STATE_PENDING))},
				watch:   sends(nil, false, living(2, adgv1.State_STATE_ROLLING, "going \x1b[2Jup"), living(3, state, "because of it")),
			})
			exit, out, errOut := command(t, "", startLine...)
			end := "checkout 1.4.2 in production: " + spoken(state) + " (because of it)\nmore: adg deploy status d1\n"
			if exit != want || errOut != "started d1\n" || !strings.HasSuffix(out, end) || !strings.Contains(out, "step 1 of 2 (25 %), healthy, score 98: going ·[2Jup") {
				t.Errorf("exit code %d, want %d; out %q, err %q", exit, want, out, errOut)
			}
		})
	}
}

func TestWaitingInAPipelineOutlivesTheDeathOfTheServer(t *testing.T) {
	t.Setenv("CI", "true")
	var starts atomic.Int32
	begin := func(proto.Message) (proto.Message, error) {
		starts.Add(1)
		return living(1, adgv1.State_STATE_PENDING), nil
	}
	answers := map[string]func(proto.Message) (proto.Message, error){"StartDeployment": begin}
	f := &fakeServer{answers: answers}
	watched := make(chan struct{})
	f.watch = func(s grpc.ServerStream) error {
		err := s.SendMsg(&adgv1.WatchDeploymentResponse{Deployment: living(2, adgv1.State_STATE_ROLLING)})
		close(watched)
		<-s.Context().Done()
		return err
	}
	serve(t, f)
	lost := make(chan struct{})
	errOut, out := &noticing{word: "is lost since", seen: lost}, &bytes.Buffer{}
	done := make(chan int)
	go func() {
		done <- Main(t.Context(), "v0", append(startLine, "--output", "json"), Terminal{In: strings.NewReader(""), Out: out, Err: errOut}, Calls{Connect: dialling})
	}()
	<-watched
	f.stop()
	<-lost
	back := &fakeServer{answers: answers, watch: sends(nil, false, living(2, adgv1.State_STATE_ROLLING), living(9, adgv1.State_STATE_ROLLED_BACK, "errors"))}
	back.start(t, f.address)
	if exit := <-done; exit != ExitRolledBack || starts.Load() != 1 {
		t.Errorf("exit code %d, started %d times; %s", exit, starts.Load(), errOut.String())
	}
	if said := errOut.String(); strings.Count(said, "is lost since") != 1 || strings.Count(said, "is back after") != 1 {
		t.Errorf("said %q", said)
	}
	var states []string
	for line := range strings.Lines(out.String()) {
		var event struct{ Kind, State string }
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		states = append(states, event.Kind+" "+event.State)
	}
	if want := []string{"tick rolling", "tick rolled_back", "end rolled_back"}; !slices.Equal(states, want) {
		t.Errorf("events %v, want %v", states, want)
	}
}

func TestAServerThatIsStartingIsWaitedForWithTheSameKey(t *testing.T) {
	var tries atomic.Int32
	var keys []string
	serve(t, &fakeServer{
		answers: map[string]func(proto.Message) (proto.Message, error){"StartDeployment": func(in proto.Message) (proto.Message, error) {
			keys = append(keys, in.(*adgv1.StartDeploymentRequest).GetIdempotencyKey())
			if tries.Add(1) < 7 { // more than one call's own tries
				return nil, status.Error(codes.Unavailable, "starting")
			}
			return living(1, adgv1.State_STATE_PENDING), nil
		}},
		watch: sends(nil, false, living(2, adgv1.State_STATE_SUCCEEDED)),
	})
	exit, _, errOut := command(t, "", startLine...)
	if slices.Sort(keys); exit != ExitGood || len(keys) != 7 || keys[0] != keys[6] || keys[0] == "" {
		t.Errorf("exit code %d, keys %v: %s", exit, keys, errOut)
	}
}

func TestPatienceIsBounded(t *testing.T) {
	serve(t, &fakeServer{watch: sends(status.Error(codes.Unavailable, "going down"), false, living(1, adgv1.State_STATE_ROLLING))})
	exit, _, errOut := command(t, "", "deploy", "watch", "d1", "--patience", "0s")
	if exit != ExitError || !strings.Contains(errOut, "does not answer") {
		t.Errorf("exit code %d: %s", exit, errOut)
	}
}

func TestInterruptingEndsTheWatchingAndNotTheDeployment(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			f := serve(t, &fakeServer{
				answers: map[string]func(proto.Message) (proto.Message, error){"StartDeployment": says(living(1, adgv1.State_STATE_PENDING))},
				watch: func(s grpc.ServerStream) error {
					err := errors.Join(s.SendMsg(&adgv1.WatchDeploymentResponse{Deployment: living(2, adgv1.State_STATE_ROLLING)}), syscall.Kill(os.Getpid(), sig))
					<-s.Context().Done()
					return err
				},
			})
			exit, out, errOut := command(t, "", startLine...)
			if exit != ExitUndecided || !strings.Contains(errOut, "adg: no longer watched, and the server goes on with it: adg deploy watch d1\n") || strings.Contains(out, "more:") {
				t.Errorf("exit code %d, out %q, err %q", exit, out, errOut)
			}
			if method, _ := f.last(); method != "StartDeployment" {
				t.Errorf("asked for %s, too", method)
			}
		})
	}
}

func TestAPersonWithoutABrowserIsLetInWithACode(t *testing.T) {
	polls := []adgv1.DeviceLoginState{adgv1.DeviceLoginState_DEVICE_LOGIN_STATE_PENDING, adgv1.DeviceLoginState_DEVICE_LOGIN_STATE_UNSPECIFIED, adgv1.DeviceLoginState_DEVICE_LOGIN_STATE_APPROVED}
	asked := 0
	f := serve(t, &fakeServer{answers: map[string]func(proto.Message) (proto.Message, error){
		"StartDeviceLogin": func(in proto.Message) (proto.Message, error) {
			if client := in.(*adgv1.StartDeviceLoginRequest).GetClient(); !strings.HasPrefix(client, "adg v0 on ") {
				t.Errorf("calls itself %q", client)
			}
			return &adgv1.StartDeviceLoginResponse{DeviceCode: "dev1ce", UserCode: "BCDF-GHJK", VerificationUri: "https://adg.example.com/device",
				VerificationUriComplete: "/device?user_code=BCDF-GHJK", ExpiresIn: durationpb.New(time.Minute), Interval: durationpb.New(time.Millisecond)}, nil
		},
		"PollDeviceLogin": func(proto.Message) (proto.Message, error) {
			asked++
			if asked == 2 {
				return nil, status.Error(codes.Unavailable, "restarting")
			}
			return &adgv1.PollDeviceLoginResponse{State: polls[asked-1], Token: "t0k"}, nil
		},
		"WhoAmI": says(&adgv1.WhoAmIResponse{Identity: &adgv1.Identity{Subject: "user:alice"}, ExpireTime: timestamppb.New(time.Now().Add(time.Hour))}),
		"LogOut": says(&adgv1.LogOutResponse{}),
	}})
	server := os.Getenv("ADG_SERVER")
	t.Setenv("ADG_SERVER", "")
	t.Setenv("ADG_TOKEN", "")
	exit, out, errOut := command(t, "", "login", server+"/", "--name", "work")
	if exit != 0 || !strings.Contains(errOut, "open https://adg.example.com/device and enter the code BCDF-GHJK") || !strings.HasPrefix(out, "logged in to "+server+" as user:alice, which ends in ") {
		t.Fatalf("exit code %d, out %q, err %q", exit, out, errOut)
	}
	if want := "or open " + server + "/device?user_code=BCDF-GHJK\n"; !strings.Contains(errOut, want) { // as of a server without a base_url
		t.Errorf("said %q, want %q", errOut, want)
	}
	file, err := contexts.Load(os.Getenv("ADG_CONTEXTS"))
	if want := (contexts.File{Current: "work", Contexts: []contexts.Context{{Name: "work", Server: server, Token: "t0k"}}}); err != nil || !cmp.Equal(want, file) {
		t.Errorf("remembers %v: %v", file, err)
	}
	if exit, _, errOut := command(t, "", "whoami"); exit != 0 {
		t.Errorf("the token is not used: %s", errOut)
	}
	// Another server beside it, with a token that was there already.
	if exit, _, errOut := command(t, "t0k\n", "login", server, "--token-stdin"); exit != 0 {
		t.Fatal(errOut)
	}
	name := strings.TrimPrefix(server, "http://")
	_, out, _ = command(t, "", "context", "list")
	if want := []string{"NAME", "SERVER", "LOGGED", "IN", "work", server, "yes", "*", name, server, "yes"}; !slices.Equal(strings.Fields(out), want) {
		t.Errorf("lists %q", out)
	}
	if _, out, _ = command(t, "", "context", "list", "--output", "json"); strings.Contains(out, "t0k") || strings.Count(out, `"loggedIn":true`) != 2 {
		t.Errorf("lists %q", out)
	}
	for _, line := range []string{"context use work", "context remove " + name, "logout"} {
		if exit, _, errOut := command(t, "", strings.Fields(line)...); exit != 0 {
			t.Fatalf("%s: %s", line, errOut)
		}
	}
	if method, _ := f.last(); method != "LogOut" {
		t.Errorf("asked for %s", method)
	}
	file, err = contexts.Load(os.Getenv("ADG_CONTEXTS"))
	if want := (contexts.File{Current: "work", Contexts: []contexts.Context{{Name: "work", Server: server}}}); err != nil || !cmp.Equal(want, file) {
		t.Errorf("remembers %v: %v", file, err)
	}
	if exit, out, _ := command(t, "", "logout"); exit != 0 || !strings.HasPrefix(out, "not logged in") {
		t.Errorf("again: exit code %d, %q", exit, out)
	}
}

func TestALoginThatFailsRemembersNothing(t *testing.T) {
	for name, c := range map[string]struct {
		state adgv1.DeviceLoginState
		lives time.Duration
		want  string
	}{
		"refused":       {adgv1.DeviceLoginState_DEVICE_LOGIN_STATE_DENIED, time.Minute, "the login was refused"},
		"too late":      {adgv1.DeviceLoginState_DEVICE_LOGIN_STATE_EXPIRED, time.Minute, "nobody has approved the login in time"},
		"never":         {adgv1.DeviceLoginState_DEVICE_LOGIN_STATE_PENDING, 400 * time.Millisecond, "nobody has approved the login in time"},
		"asked less":    {adgv1.DeviceLoginState_DEVICE_LOGIN_STATE_SLOW_DOWN, 400 * time.Millisecond, "nobody has approved the login in time"},
		"a token, once": {adgv1.DeviceLoginState_DEVICE_LOGIN_STATE_APPROVED, time.Minute, "this token is not known"},
	} {
		t.Run(name, func(t *testing.T) {
			serve(t, &fakeServer{answers: map[string]func(proto.Message) (proto.Message, error){
				"StartDeviceLogin": says(&adgv1.StartDeviceLoginResponse{ExpiresIn: durationpb.New(c.lives), Interval: durationpb.New(time.Millisecond)}),
				"PollDeviceLogin":  says(&adgv1.PollDeviceLoginResponse{State: c.state, Token: "another"}),
			}})
			exit, _, errOut := command(t, "", "login")
			if exit != ExitError || !strings.Contains(errOut, c.want) {
				t.Errorf("exit code %d: %q", exit, errOut)
			}
			if _, err := os.Stat(os.Getenv("ADG_CONTEXTS")); err == nil {
				t.Error("something is remembered")
			}
		})
	}
	serve(t, &fakeServer{})
	if exit, _, errOut := command(t, "\n", "login", os.Getenv("ADG_SERVER"), "--token-stdin"); exit != ExitUsage || !strings.Contains(errOut, "no token on standard input") {
		t.Errorf("exit code %d: %q", exit, errOut)
	}
	if exit, _, errOut := command(t, "", "login", "http://adg.example.com"); exit != ExitUsage || !strings.Contains(errOut, "in the open") {
		t.Errorf("exit code %d: %q", exit, errOut)
	}
}

func TestAListGoesThroughItsPagesUpToTheLimit(t *testing.T) {
	const all = 450
	pages := func(in proto.Message) (proto.Message, error) {
		r := in.(*adgv1.ListDeploymentsRequest)
		first := 0
		if _, err := fmt.Sscanf(r.GetPageToken(), "from-%d", &first); err != nil && r.GetPageToken() != "" {
			return nil, err
		}
		answer := &adgv1.ListDeploymentsResponse{}
		for i := first; i < min(all, first+int(r.GetPageSize())); i++ {
			answer.Deployments = append(answer.Deployments, &adgv1.DeploymentSummary{Id: fmt.Sprintf("d%d", i)})
		}
		if next := first + int(r.GetPageSize()); next < all {
			answer.NextPageToken = fmt.Sprintf("from-%d", next)
		}
		return answer, nil
	}
	serve(t, &fakeServer{answers: map[string]func(proto.Message) (proto.Message, error){"ListDeployments": pages}})
	for limit, want := range map[string]int{"0": all, "1": 1, "200": 200, "201": 201, "450": all, "1000": all} {
		exit, out, errOut := command(t, "", "deploy", "list", "--limit", limit)
		if lines := strings.Count(out, "\n") - 1; exit != 0 || lines != want || strings.Contains(errOut, "there are more") != (want < all) {
			t.Errorf("--limit %s: exit code %d, %d lines, said %q", limit, exit, lines, errOut)
		}
		if _, out, _ = command(t, "", "deploy", "list", "--limit", limit, "--output", "json"); strings.Count(out, "\n") != want {
			t.Errorf("--limit %s as JSON: %d lines", limit, strings.Count(out, "\n"))
		}
	}
	serve(t, &fakeServer{answers: map[string]func(proto.Message) (proto.Message, error){"ListDeployments": says(&adgv1.ListDeploymentsResponse{NextPageToken: "same"})}})
	if exit, _, errOut := command(t, "", "deploy", "list", "--limit", "0"); exit != ExitError || !strings.Contains(errOut, "same page again") {
		t.Errorf("a list without an end: exit code %d: %s", exit, errOut)
	}
}

func TestEventsAreFollowedUntilInterruptedAndFromTheCursorThatWasSaid(t *testing.T) {
	serve(t, &fakeServer{events: func(in *adgv1.StreamEventsRequest, s grpc.ServerStream) error {
		if in.After == nil || in.GetAfter() < 7 {
			return status.Error(codes.InvalidArgument, "from where?")
		}
		cursor := in.GetAfter() + 1
		fact := &adgv1.Fact{Service: "till", Text: fmt.Sprintf("a \x1bword\nand number %d", cursor)}
		if err := s.SendMsg(&adgv1.StreamEventsResponse{Cursor: cursor, Event: &adgv1.Event{Cursor: cursor, Fact: fact}}); err != nil || cursor == 8 {
			return errors.Join(err, status.Error(codes.Unavailable, "restarting"))
		}
		<-s.Context().Done()
		return s.Context().Err()
	}})
	enough := make(chan struct{})
	out, errOut := &noticing{word: "number 9", seen: enough}, &bytes.Buffer{}
	done := make(chan int)
	go func() {
		done <- Main(t.Context(), "v0", []string{"events", "--follow", "--after", "7"}, Terminal{In: strings.NewReader(""), Out: out, Err: errOut}, Calls{Connect: dialling})
	}()
	<-enough
	if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if exit := <-done; exit != 0 || strings.Count(out.String(), "\n") != 2 || strings.Contains(out.String(), "\x1b") || strings.Count(errOut.String(), "is lost since") != 1 {
		t.Errorf("exit code %d, out %q, err %q", exit, out, errOut)
	}
}

func TestTheSameJobStartsTheSameDeploymentOnce(t *testing.T) {
	request := func(version string) *adgv1.StartDeploymentRequest {
		return &adgv1.StartDeploymentRequest{Environment: "production", Release: &adgv1.Release{Service: "checkout", Version: version}}
	}
	env := func(pairs ...string) func(string) string {
		return func(name string) string {
			if i := slices.Index(pairs, name); i >= 0 {
				return pairs[i+1]
			}
			return ""
		}
	}
	github := []string{"GITHUB_REPOSITORY", "shop/checkout", "GITHUB_RUN_ID", "17", "GITHUB_RUN_ATTEMPT", "1", "GITHUB_JOB", "deploy"}
	again := append(slices.Clone(github[:5]), "2", "GITHUB_JOB", "deploy")
	key := startKey(env(github...), request("1"))
	for name, c := range map[string]struct {
		env  func(string) string
		r    *adgv1.StartDeploymentRequest
		same bool
	}{
		"the same step again":             {env(github...), request("1"), true},
		"another version in the same job": {env(github...), request("2"), false},
		"the job run again":               {env(again...), request("1"), false},
		"GitLab":                          {env("CI_SERVER_URL", "https://gitlab", "CI_PIPELINE_ID", "17", "CI_JOB_ID", "3"), request("1"), false},
		"half of the variables":           {env(github[:4]...), request("1"), false},
		"a person":                        {env(), request("1"), false},
	} {
		if got := startKey(c.env, c.r); (got == key) != c.same || len(got) > 128 {
			t.Errorf("%s: %s", name, got)
		}
	}
	if mine, yours := startKey(env(), request("1")), startKey(env(), request("1")); mine == yours {
		t.Error("two people's starts are one")
	}
}

func TestAShellIsToldWhatCouldBeMeantAndNeverKeptWaiting(t *testing.T) {
	serve(t, &fakeServer{answers: map[string]func(proto.Message) (proto.Message, error){
		"ListDeployments":  says(&adgv1.ListDeploymentsResponse{Deployments: []*adgv1.DeploymentSummary{{Id: "checkout-1"}, {Id: "till-2"}}}),
		"ListServices":     says(&adgv1.ListServicesResponse{Services: []*adgv1.Service{{Name: "checkout"}}}),
		"ListEnvironments": says(&adgv1.ListEnvironmentsResponse{Environments: []*adgv1.Environment{{Name: "production"}, {Name: "staging"}}}),
		"ListConnections":  says(&adgv1.ListConnectionsResponse{Connections: []*adgv1.Connection{{Name: "prom"}}}),
	}})
	limit := completing
	t.Cleanup(func() { completing = limit })
	completing = time.Minute
	for typed, want := range map[string]string{
		"deploy watch ch": "checkout-1", "deploy list --service c": "checkout", "deploy start -s x --env st": "staging", "connection get p": "prom",
		"deploy list --state rolled": "pending", "token create x --role de": "viewer", // all the words: the shell chooses
	} {
		_, out, _ := command(t, "", append([]string{"__complete"}, strings.Fields(typed)...)...)
		if first, _, _ := strings.Cut(out, "\n"); !strings.HasPrefix(first, want) || strings.Contains(out, "till") {
			t.Errorf("%q: %q", typed, out)
		}
	}
	over := make(chan struct{})
	defer close(over)
	silent := serve(t, &fakeServer{answers: map[string]func(proto.Message) (proto.Message, error){
		"ListDeployments": func(proto.Message) (proto.Message, error) { <-over; return nil, nil },
	}})
	completing = limit
	for what, address := range map[string]string{"nobody is there": "127.0.0.1:1", "nobody says anything": silent.address} {
		t.Setenv("ADG_SERVER", "http://"+address)
		began := time.Now()
		if exit, out, _ := command(t, "", "__complete", "deploy", "watch", ""); exit != 0 || !strings.HasPrefix(out, ":4") || time.Since(began) > 20*time.Second {
			t.Errorf("%s: after %s: exit code %d, %q", what, time.Since(began), exit, out)
		}
	}
}

func TestWordsOfTheApiAreThoseOfThisProgram(t *testing.T) {
	each := func(e protoreflect.Enum, read func(string) error) {
		values := e.Descriptor().Values()
		for i := range values.Len() {
			if w := short(values, values.Get(i)); w != "unspecified" {
				if err := read(w); err != nil {
					t.Errorf("%s: %v", values.Get(i).Name(), err)
				}
			}
		}
	}
	each(adgv1.State(0), func(w string) error { var s adg.State; return s.UnmarshalText([]byte(w)) })
	each(adgv1.Health(0), func(w string) error { var h adg.Health; return h.UnmarshalText([]byte(w)) })
	each(adgv1.Verdict(0), func(w string) error { var v adg.Verdict; return v.UnmarshalText([]byte(w)) })
	each(adgv1.Why(0), func(w string) error { var y adg.Why; return y.UnmarshalText([]byte(w)) })
	if got := wordOf(adgv1.State(99)); got != "unknown(99)" {
		t.Errorf("a state of a newer server is %q", got)
	}
}

func TestNoAnswerOfAServerBreaksTheViews(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := living(1, adgv1.State(rapid.Int32Range(0, 16).Draw(t, "state")))
		d.Status.Step, d.Status.Phase = rapid.Int32().Draw(t, "step"), rapid.Int32().Draw(t, "phase")
		d.Status.Reached, d.Status.Health = rapid.Bool().Draw(t, "reached"), adgv1.Health(rapid.Int32Range(0, 5).Draw(t, "health"))
		if rapid.Bool().Draw(t, "without steps") {
			d.Policy = nil
		}
		if rapid.Bool().Draw(t, "with a check") {
			d.Status.Checks = []*adgv1.Watch{{Check: "errors"}, {Check: "p95", Last: &adgv1.Judgement{Text: "\x1b[2J", Value: proto.Float64(1)}}}
		}
		if rapid.IntRange(0, 9).Draw(t, "without a status") == 9 {
			d.Status = nil
		}
		var w watching
		var out bytes.Buffer
		p := picture{values: map[string][]float64{}}
		lines, events := &lineView{out: &out, after: moreOf}, &jsonView{out: &out, err: &out}
		for range 2 {
			now, tick := w.tick(d, time.Unix(1, 0))
			p.tick(now, tick)
			lines.Tick(now, tick)
			events.Tick(now, tick)
			lines.Close(now, nil)
			if err := showDeployment(session{t: Terminal{Out: &out}}, d); err != nil {
				t.Fatal(err)
			}
			for _, line := range p.lines(time.Unix(2, 0), 80) {
				out.WriteString(line)
			}
		}
		if strings.Contains(out.String(), "\x1b") {
			t.Fatalf("an answer commands the terminal: %q", out.String())
		}
	})
}

func FuzzFilesOfConnectionsAndPoliciesAreReadOrRefused(f *testing.F) {
	f.Add([]byte("name: prom\nseam: source\ntype: prometheus\noptions: {url: 'https://x', n: [1, {a: null}], f: .nan}\n"))
	f.Add([]byte(guardian))
	f.Add([]byte("options: {1: 2}\nseam: source"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if c, err := parseConnection(text); err == nil && (c == nil || c.GetSeam() == 0) || err != nil && adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%v: %v", c, err)
		}
		if p, err := parseScope("x", text); err == nil && p.whole() != nil || err != nil && adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%v: %v", p, err)
		}
	})
}

func TestTimesAreSaidAsPeopleSayThem(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for want, at := range map[string]*timestamppb.Timestamp{
		"–": nil, "now": timestamppb.New(now), "5s ago": timestamppb.New(now.Add(-5 * time.Second)), "in 2h00m": timestamppb.New(now.Add(2 * time.Hour)), "3d0h ago": timestamppb.New(now.Add(-72 * time.Hour)),
	} {
		if got := when(now, at); got != want {
			t.Errorf("%v is %q, want %q", at, got, want)
		}
	}
	for text, want := range map[string]time.Time{"2h": now.Add(2 * time.Hour), "2026-06-01T00:00:00Z": time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)} {
		if got, err := coming("until", text, now); err != nil || !got.AsTime().Equal(want) {
			t.Errorf("%q is %v: %v", text, got, err)
		}
	}
	if got, err := coming("until", "-2h", now); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("two hours ago is still to come: %v", got)
	}
}

// noticing is a writer that tells when a word was written.
type noticing struct {
	text strings.Builder
	word string
	seen chan struct{}
	told bool
}

// String is all that was written.
func (n *noticing) String() string { return n.text.String() }

// Write takes more.
func (n *noticing) Write(p []byte) (int, error) {
	if strings.Contains(string(p), n.word) && !n.told {
		n.told = true
		close(n.seen)
	}
	return n.text.Write(p)
}
