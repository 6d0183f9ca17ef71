package scenarios

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The apply script is the target: it writes down each run's begin and end, and makes a version live in between.
const applyScript = `#!/bin/sh
set -e
cd "$(dirname "$0")"
echo "begin $ADG_OP_ID $ADG_VERSION $ADG_FENCE" >> applied.log
sleep 0.0$((RANDOM_TENTH + 1))
cat > desired.$$ && mv desired.$$ desired.json
echo "$ADG_VERSION" > live.$$ && mv live.$$ live
echo "end $ADG_OP_ID $ADG_VERSION $ADG_FENCE" >> applied.log
`

const currentScript = `#!/bin/sh
cd "$(dirname "$0")"
printf '{"releases":[{"version":"%s","share":100}],"done":true}\n' "$(cat live)"
`

// v2 is bad for ever, v1 is good.
const errorsScript = `#!/bin/sh
if [ "$ADG_VERSION" = v2 ]; then echo 0.5; else echo 0; fi
`

const crashPolicy = `service: shop
environment: test
sources:
  errors: {type: command, path: ./errors}
target: {type: command, apply: {path: ./apply}, current: {path: ./current}}
checks:
  - {name: error-rate, source: errors, query: errors, fail: "> 10%%", window: 2s, interval: 50ms, critical: true}
strategy:
  recreate: {bake: 10m}
interval: 50ms
history: 1s
rollback:
  trust: auto
  rules: [{when: unhealthy, for: %s, act: now}]
  verify: {for: 200ms, within: 1m}
notify: [{type: log, path: ./told.log}]
`

// TestKilledAtAnyInstant kills the real process with SIGKILL while it guards a deployment that has to be rolled back,
// starts it again, and again, and then counts at the target: the rollback happened, once, and the deployment ended.
func TestKilledAtAnyInstant(t *testing.T) {
	wanted := 200
	if n, err := strconv.Atoi(os.Getenv("ADG_CRASH_KILLS")); err == nil {
		wanted = n
	}
	const lanes = 4
	for lane := range lanes {
		t.Run(fmt.Sprintf("lane %d", lane), func(t *testing.T) {
			t.Parallel()
			dice := rand.New(rand.NewPCG(uint64(lane), 2026))
			kills, lives := 0, 0
			for kills < (wanted+lanes-1)/lanes {
				kills += crashLife(t, dice)
				lives++
			}
			t.Logf("%d kills over %d deployments: each rolled back once, verified, ended and told", kills, lives)
		})
	}
}

// crashLife guards one deployment to its end with as many kills as its dice give, and says how many there were.
func crashLife(t *testing.T, dice *rand.Rand) int {
	t.Helper()
	dir := t.TempDir()
	condemn := time.Duration(dice.IntN(300)) * time.Millisecond
	for name, text := range map[string]string{
		"apply":         strings.Replace(applyScript, "$((RANDOM_TENTH + 1))", strconv.Itoa(1+dice.IntN(9)), 1),
		"current":       currentScript,
		"errors":        errorsScript,
		"guardian.yaml": fmt.Sprintf(crashPolicy, condemn),
		"live":          "v1\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	kills := 0
	for start := range 100 {
		cmd := exec.Command(adg, "run", "-f", "guardian.yaml", "--version", "v2", "--previous", "v1", "--data-dir", "data", "--output", "json")
		cmd.Dir = dir
		var said strings.Builder
		cmd.Stdout, cmd.Stderr = &said, &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// The instant is anywhere from before main to after the end; on a slow machine later starts get further.
		killer := time.AfterFunc(time.Duration(dice.IntN(1500+100*start))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		killer.Stop()
		if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Sys().(syscall.WaitStatus).Signaled() {
			kills++
			continue
		}
		code := cmd.ProcessState.ExitCode()
		if code == 4 && kills > 0 && strings.Contains(said.String(), "is on hold since") {
			// The kill came between the end of the deployment and the end of the process: this run was a new deployment of
			// the bad release, and was refused. What was still to be told of the first one is told by now, or by the next run.
			told, err := os.ReadFile(filepath.Join(dir, "told.log"))
			if err != nil || !strings.Contains(string(told), `"kind":"rolled_back"`) {
				continue
			}
			code = 3
		}
		if code != 3 {
			t.Fatalf("exit code %d after %d kills, want 3 (rolled back):\n%s", code, kills, said.String())
		}
		countAtTarget(t, dir, kills)
		return kills
	}
	t.Fatalf("the deployment did not end in 100 starts")
	return kills
}

// countAtTarget reads what really happened, from the target's own log.
func countAtTarget(t *testing.T, dir string, kills int) {
	t.Helper()
	live, err := os.ReadFile(filepath.Join(dir, "live"))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(string(live)); got != "v1" {
		t.Fatalf("after %d kills %s is live: the rollback was lost", kills, got)
	}
	file, err := os.Open(filepath.Join(dir, "applied.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	running, ended, newest := "", map[string]int{}, 0
	var rollbacks []string
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		word := strings.Fields(lines.Text())
		if len(word) != 4 {
			t.Fatalf("torn line in the target's log: %q", lines.Text())
		}
		op, version := word[1], word[2]
		fence, err := strconv.Atoi(word[3])
		if err != nil {
			t.Fatal(err)
		}
		switch word[0] {
		case "begin":
			if running != "" {
				t.Fatalf("%s began while %s was running", op, running)
			}
			if fence < newest {
				t.Fatalf("%s came with fence %d after fence %d", op, fence, newest)
			}
			running, newest = op, fence
		case "end":
			running = ""
			ended[op]++
			if version == "v1" {
				rollbacks = append(rollbacks, op)
			}
		}
	}
	if len(rollbacks) != 1 {
		t.Fatalf("after %d kills the target saw %d rollbacks: %v", kills, len(rollbacks), rollbacks)
	}
	for op, n := range ended {
		if n != 1 {
			t.Fatalf("after %d kills %s was done %d times", kills, op, n)
		}
	}
	toldOnce(t, filepath.Join(dir, "told.log"), kills)
}

// toldOnce looks for the facts that people must have been told: at least once each, and the same fact under the same
// id only.
func toldOnce(t *testing.T, path string, kills int) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]map[string]bool{}
	for line := range strings.Lines(string(text)) {
		var fact struct {
			ID   string `json:"id"`
			Kind string `json:"kind"`
		}
		if err := json.Unmarshal([]byte(line), &fact); err != nil {
			t.Fatalf("torn line in the notifier's log: %v: %q", err, line)
		}
		if ids[fact.Kind] == nil {
			ids[fact.Kind] = map[string]bool{}
		}
		ids[fact.Kind][fact.ID] = true
	}
	for _, kind := range []string{"rollback_started", "rolled_back"} {
		if len(ids[kind]) != 1 {
			t.Fatalf("after %d kills %d different facts say %s, want 1", kills, len(ids[kind]), kind)
		}
	}
}
