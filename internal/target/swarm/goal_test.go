package swarm

import (
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/swarm"
	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// serviceOf is a service that runs an image in so many tasks; noted: what it had when adg changed it last.
func serviceOf(image string, replicas uint64, noted *note) service {
	s := service{}
	s.Spec.TaskTemplate.ContainerSpec = &swarm.ContainerSpec{Image: image}
	s.Spec.Mode.Replicated = &swarm.ReplicatedService{Replicas: &replicas}
	if noted != nil {
		s.note = *noted
	}
	return s
}

func TestReleasesAreGivenServicesAndTasks(t *testing.T) {
	noted := func(capacity, replicas uint64) *note {
		return &note{Ops: []string{"d/1"}, Capacity: capacity, Replicas: replicas}
	}
	v1, v2 := targettest.Release("v1"), targettest.Release("v2")
	half := adg.Desired{Releases: []adg.Placement{{Release: v2, Share: 50}, {Release: v1, Share: 50}}}
	const elsewhere = "elsewhere"
	for name, test := range map[string]struct {
		label    string // or elsewhere
		services []service
		want     adg.Desired
		holds    []string // per service: the version
		replicas []uint64
	}{
		"a canary of 5 % gets at least one task":                      {"", []service{serviceOf("shop:v1", 8, nil), serviceOf("shop:v0", 0, nil)}, targettest.Want("d/1", 1, 5), []string{"v1", "v2"}, []uint64{7, 1}},
		"half of an odd number is rounded, and none is lost":          {"", []service{serviceOf("shop:v1", 5, nil), serviceOf("shop:v0", 0, nil)}, half, []string{"v1", "v2"}, []uint64{3, 2}},
		"one task cannot be split, so there are two for a while":      {"", []service{serviceOf("shop:v1", 1, nil), serviceOf("shop:v0", 0, nil)}, half, []string{"v1", "v2"}, []uint64{1, 1}},
		"everything goes to the canary's service, and stays there":    {"", []service{serviceOf("shop:v1", 4, nil), serviceOf("shop:v2", 4, nil)}, targettest.Want("d/1", 1, 100), []string{"v1", "v2"}, []uint64{0, 8}},
		"a rollback gives the last good release all the tasks":        {"", []service{serviceOf("shop:v1", 0, noted(8, 0)), serviceOf("shop:v2", 8, noted(8, 8))}, targettest.Rollback("d/2", 1), []string{"v1", "v2"}, []uint64{8, 0}},
		"tasks that an operator has added count":                      {"", []service{serviceOf("shop:v1", 10, noted(8, 6)), serviceOf("shop:v2", 2, noted(8, 2))}, half, []string{"v1", "v2"}, []uint64{6, 6}},
		"tasks that an operator has taken are not put back":           {"", []service{serviceOf("shop:v1", 2, noted(8, 6)), serviceOf("shop:v2", 2, noted(8, 2))}, half, []string{"v1", "v2"}, []uint64{2, 2}},
		"what both services hold is the one with tasks":               {"", []service{serviceOf("shop:v1", 0, nil), serviceOf("shop:v1", 4, nil)}, targettest.Want("d/1", 1, 25), []string{"v2", "v1"}, []uint64{1, 3}},
		"behind a router the idle release is as large as the live":    {"live=yes", []service{serviceOf("shop:v1", 4, nil), serviceOf("shop:v0", 0, nil)}, targettest.Want("d/1", 1, 0), []string{"v1", "v2"}, []uint64{4, 4}},
		"behind a router the good release keeps its size":             {"live=yes", []service{serviceOf("shop:v2", 2, nil), serviceOf("shop:v1", 4, nil)}, targettest.Rollback("d/2", 1), []string{"v2", "v1"}, []uint64{2, 4}},
		"behind a router what is not wanted is taken away at the end": {"live=yes", []service{serviceOf("shop:v1", 4, nil), serviceOf("shop:v2", 4, nil)}, alone("d/1", "v2"), []string{"", "v2"}, []uint64{0, 4}},
		"behind a router a rollback leaves the bad release its size":  {"live=yes", []service{serviceOf("shop:v1", 4, nil), serviceOf("shop:v2", 1, nil)}, targettest.Rollback("d/2", 1), []string{"v1", "v2"}, []uint64{4, 1}},
		"split elsewhere, a share is no matter of tasks":              {elsewhere, []service{serviceOf("shop:v1", 4, nil), serviceOf("shop:v0", 0, nil)}, targettest.Want("d/1", 1, 5), []string{"v1", "v2"}, []uint64{4, 4}},
		"split elsewhere, the old release keeps its tasks at the end": {elsewhere, []service{serviceOf("shop:v1", 4, nil), serviceOf("shop:v2", 4, nil)}, targettest.Want("d/1", 1, 100), []string{"v1", "v2"}, []uint64{4, 4}},
		"split elsewhere, what nobody names keeps its tasks":          {elsewhere, []service{serviceOf("shop:v1", 3, nil), serviceOf("shop:v2", 4, nil)}, alone("d/1", "v2"), []string{"", "v2"}, []uint64{3, 4}},
		"split elsewhere, a rollback leaves the bad release its size": {elsewhere, []service{serviceOf("shop:v1", 4, nil), serviceOf("shop:v2", 1, nil)}, targettest.Rollback("d/2", 1), []string{"v1", "v2"}, []uint64{4, 1}},
		"split elsewhere, what was scaled away comes back in full":    {elsewhere, []service{serviceOf("shop:v1", 0, nil), serviceOf("shop:v2", 4, nil)}, targettest.Rollback("d/2", 1), []string{"v1", "v2"}, []uint64{4, 4}},
		"behind a router a rollback puts the bad release nowhere":     {"live=yes", []service{serviceOf("shop:v1", 4, nil), serviceOf("shop:v0", 0, nil)}, targettest.Rollback("d/2", 1), []string{"v1", ""}, []uint64{4, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			if test.label != "" {
				test.services[0].Spec.Labels = map[string]string{"live": "yes"}
			}
			v := view{o: Options{LiveLabel: test.label, Services: []string{"a", "b"}}, services: test.services}
			if test.label == elsewhere {
				v.o.LiveLabel, v.o.SplitElsewhere = "", true
			}
			goals, err := v.goals(test.want.Releases, test.want.Rollback)
			if err != nil {
				t.Fatal(err)
			}
			for i, g := range goals {
				version := ""
				if g.wanted != nil {
					version = g.wanted.Release.Version
				}
				if version != test.holds[i] || g.replicas != test.replicas[i] {
					t.Errorf("service %d gets %d tasks of %q, want %d of %q", i, g.replicas, version, test.replicas[i], test.holds[i])
				}
			}
		})
	}
}

func TestThreeReleasesDoNotFitIntoTwoServices(t *testing.T) {
	v := view{o: Options{Services: []string{"a", "b"}}, services: []service{serviceOf("shop:v1", 4, nil), serviceOf("shop:v2", 4, nil)}}
	want := []adg.Placement{{Release: targettest.Release("v1"), Share: 40}, {Release: targettest.Release("v2"), Share: 40}, {Release: targettest.Release("v3"), Share: 20}}
	if _, err := v.goals(want, false); adg.CodeOf(err) != adg.Invalid || !adg.IsPermanent(err) {
		t.Errorf("got %v", err)
	}
}

func TestNoTaskIsEverLostInAnySplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Uint64Range(0, 50).Draw(t, "a"), rapid.Uint64Range(0, 50).Draw(t, "b")
		share := rapid.Float64Range(0, 100).Draw(t, "share")
		v := view{o: Options{Services: []string{"a", "b"}}, services: []service{serviceOf("shop:v1", a, nil), serviceOf("shop:v2", b, nil)}}
		goals, err := v.goals(targettest.Want("d/1", 1, share).Releases, false)
		if err != nil {
			t.Fatal(err)
		}
		total, parts := goals[0].replicas+goals[1].replicas, 0
		for _, g := range goals {
			if g.wanted.Share > 0 {
				parts++
				if g.replicas == 0 {
					t.Errorf("%g %% of %d tasks are none", g.wanted.Share, a+b)
				}
			}
		}
		if total != max(a+b, uint64(parts)) {
			t.Errorf("%d tasks became %d", a+b, total)
		}
	})
}

func TestCrashesOfTheReleaseCountFromTheLastChangeOnly(t *testing.T) {
	s := serviceOf("shop:v1", 1, nil)
	s.Version.Index = 100
	for i, state := range []swarm.TaskState{swarm.TaskStateFailed, swarm.TaskStateRejected, swarm.TaskStateShutdown, swarm.TaskStateFailed, swarm.TaskStateFailed} {
		one := task{}
		one.Spec.ContainerSpec = &swarm.ContainerSpec{Image: "shop:v1"}
		if i == 4 {
			one.Spec.ContainerSpec.Image = "shop:v2"
		}
		one.Version.Index, one.Status.State = 90+uint64(i)*10, state
		one.Status.Timestamp = time.Unix(int64(i), 0)
		one.Status.Err = "task: non-zero exit\nand more"
		one.Status.ContainerStatus = &swarm.ContainerStatus{ExitCode: 3}
		s.tasks = append(s.tasks, one)
	}
	failures := s.failures(targettest.Release("v1"))
	if len(failures) != 1 || failures[0].Version.Index != 120 {
		t.Fatalf("got %+v", failures)
	}
	if why := failures[0].why(); why != "task: non-zero exit (exit code 3)" {
		t.Errorf("got %q", why)
	}
}

func TestWhatANodeThatIsDownRunsIsSaidNotBelieved(t *testing.T) {
	s := serviceOf("shop:v1", 1, nil)
	for _, wanted := range []swarm.TaskState{swarm.TaskStateRunning, swarm.TaskStateShutdown} {
		one := task{lost: wanted == swarm.TaskStateShutdown}
		one.NodeID, one.Spec.ContainerSpec = "worker-7", &swarm.ContainerSpec{Image: "shop:v1"}
		one.Status.State, one.DesiredState = swarm.TaskStateRunning, wanted
		s.tasks = append(s.tasks, one)
	}
	v := view{now: time.Unix(1, 0), services: []service{s}, o: Options{Services: []string{"a"}}}
	seen := v.observed()
	if !seen.Done || !strings.Contains(seen.Text, "worker-7 is down") || len(seen.Releases) != 1 || seen.Releases[0].Share != 100 {
		t.Errorf("got %+v", seen)
	}
}

func TestAFollowerThatDiesLeavesNoRoomForAnother(t *testing.T) {
	node := func(reachable bool) swarm.Node {
		n := swarm.Node{ManagerStatus: &swarm.ManagerStatus{Reachability: swarm.ReachabilityReachable}}
		if !reachable {
			n.ManagerStatus.Reachability = swarm.ReachabilityUnreachable
		}
		return n
	}
	for name, test := range map[string]struct {
		nodes []swarm.Node
		warns bool
	}{
		"the only manager": {[]swarm.Node{node(true), {}}, false},
		"three of three":   {[]swarm.Node{node(true), node(true), node(true)}, false},
		"two of three, and one more loss stops all":  {[]swarm.Node{node(true), node(true), node(false)}, true},
		"four of five, and one may still be lost":    {[]swarm.Node{node(true), node(true), node(true), node(true), node(false)}, false},
		"three of five, and one more loss stops all": {[]swarm.Node{node(true), node(true), node(true), node(false), node(false)}, true},
	} {
		if found := quorum(test.nodes); (len(found) > 0) != test.warns {
			t.Errorf("%s: %v", name, found)
		}
	}
}

func TestRoomIsWhatNodesHaveAndNobodyReserved(t *testing.T) {
	node := func(id string, state swarm.NodeState, cpus int64) swarm.Node {
		n := swarm.Node{ID: id, Status: swarm.NodeStatus{State: state}, Spec: swarm.NodeSpec{Availability: swarm.NodeAvailabilityActive}}
		n.Description.Resources = swarm.Resources{NanoCPUs: cpus, MemoryBytes: 1 << 30}
		return n
	}
	spec := swarm.TaskSpec{Resources: &swarm.ResourceRequirements{Reservations: &swarm.Resources{NanoCPUs: 2}}}
	used := []swarm.Task{{NodeID: "a", DesiredState: swarm.TaskStateRunning, Spec: spec}, {NodeID: "a", DesiredState: swarm.TaskStateShutdown, Spec: spec}}
	ready, down := node("a", swarm.NodeStateReady, 6), node("b", swarm.NodeStateDown, 100)
	for name, test := range map[string]struct {
		nodes []swarm.Node
		spec  swarm.TaskSpec
		more  uint64
		found int
		final bool
	}{
		"two more fit beside the one that runs": {[]swarm.Node{ready, down}, spec, 2, 0, false},
		"three more do not":                     {[]swarm.Node{ready, down}, spec, 3, 1, false},
		"without reservations all fit":          {[]swarm.Node{ready}, swarm.TaskSpec{}, 1000, 0, false},
		"no node is up":                         {[]swarm.Node{down}, swarm.TaskSpec{}, 0, 1, true},
	} {
		found := room(test.nodes, used, test.spec, test.more, "shop")
		if len(found) != test.found || len(found) > 0 && found[0].Final != test.final {
			t.Errorf("%s: %+v", name, found)
		}
	}
}

// taskOf is a task of an image in a state, changed after its service.
func taskOf(image string, state swarm.TaskState) task {
	one := task{}
	one.Version.Index, one.Status.State, one.DesiredState = 1, state, swarm.TaskStateRunning
	one.Spec.ContainerSpec = &swarm.ContainerSpec{Image: image}
	return one
}

func TestAnImageThatSomebodyHasJustPutThereIsNotDoneThoughNoTaskRunsItYet(t *testing.T) {
	want := targettest.Want("d/1", 1, 100)
	s := serviceOf("shop:hotfix", 1, &note{Ops: []string{"d/1"}, Want: want.Releases, Capacity: 1, Image: "shop:v2", Replicas: 1})
	s.tasks = []task{taskOf("shop:v2", swarm.TaskStateRunning)}
	v := view{now: time.Unix(1, 0), services: []service{s}, o: Options{Services: []string{"a"}}}
	if seen := v.observed(); seen.Done || !strings.Contains(seen.Text, "is told to run shop:hotfix") {
		t.Errorf("got %+v", seen)
	}
}

func TestARollbackHasNotFailedBecauseTheReleaseThatIsLeftCrashes(t *testing.T) {
	want := targettest.Rollback("d/2", 1)
	noted := note{Ops: []string{"d/2"}, Want: want.Releases, Rollback: true, Capacity: 1, Replicas: 1}
	noted.Image = "shop:v1"
	good := serviceOf("shop:v1", 1, &noted)
	good.Spec.Labels = map[string]string{"live": "yes"}
	good.tasks = []task{taskOf("shop:v1", swarm.TaskStateRunning)}
	noted.Image = "shop:v2"
	bad := serviceOf("shop:v2", 1, &noted)
	for range enoughFailures {
		bad.tasks = append(bad.tasks, taskOf("shop:v2", swarm.TaskStateFailed))
	}
	v := view{now: time.Unix(1, 0), services: []service{good, bad}, o: Options{Services: []string{"a", "b"}, LiveLabel: "live=yes"}}
	if seen := v.observed(); !seen.Done || seen.Failed {
		t.Errorf("got %+v", seen)
	}
}
