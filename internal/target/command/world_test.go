package command

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(ownerDir); dir != "" {
		owner(dir)
	}
	goleak.VerifyTestMain(m)
}

// applyText is a platform in a few lines of shell: it writes down each run's begin and end.
const applyText = `#!/bin/sh
set -e
cd "$WORLD"
fault=$(cat fault 2>/dev/null || true)
case $fault in
Unreachable) echo "cannot reach the platform with $TOKEN" >&2; exit 1;;
Hang) exec sleep 600;;
esac
echo "begin $ADG_OP_ID $ADG_FENCE" >> log
sleep ${PAUSE:-0}
if [ "$fault" = Halfway ]; then rm fault; echo "$ADG_VERSION=50" > live; echo "end $ADG_OP_ID $ADG_FENCE" >> log; echo "lost the connection ($TOKEN)" >&2; exit 75; fi
cat > desired.json
if [ "$fault" != Lie ]; then echo "$ADG_RELEASES" > live.new; mv live.new live; fi
echo "end $ADG_OP_ID $ADG_FENCE" >> log
`

const currentText = `#!/bin/sh
cd "$WORLD"
case $(cat fault 2>/dev/null) in
Unreachable) echo "cannot reach the platform with $TOKEN" >&2; exit 1;;
Hang) exec sleep 600;;
esac
printf '{"releases":['
comma=
for pair in $(cat live); do printf '%s{"version":"%s","share":%s}' "$comma" "${pair%=*}" "${pair#*=}"; comma=,; done
printf ']}\n'
`

// write makes a file; no process may be forked while a program is open for writing, or exec says "text file busy".
func write(t *testing.T, path, text string) string {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// world is the directory that the scripts live and work in.
type world struct{ dir string }

func newWorld(t *testing.T) world {
	w := world{t.TempDir()}
	write(t, filepath.Join(w.dir, "apply"), applyText)
	write(t, filepath.Join(w.dir, "current"), currentText)
	write(t, filepath.Join(w.dir, "live"), "v1=100\n")
	return w
}

func (w world) options() Options {
	o := Driver.Options.(Options)
	o.Apply.Path, o.Current.Path = filepath.Join(w.dir, "apply"), filepath.Join(w.dir, "current")
	o.Env = map[string]string{"WORLD": w.dir}
	o.Secrets = map[string]adg.Secret{"TOKEN": adg.NewSecret(targettest.Planted)}
	o.Shares, o.Idle = true, true
	return o
}

func (w world) host() adg.Host {
	return adg.Host{Name: "shop", Dir: filepath.Join(w.dir, "state"), Commands: true}
}

func (w world) open(t *testing.T, o Options) adg.Target {
	t.Helper()
	target, err := Driver.Open(t.Context(), o, w.host())
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func (w world) Shares(t *testing.T) map[string]float64 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, "live"))
	if err != nil {
		t.Fatal(err)
	}
	shares := map[string]float64{}
	for pair := range strings.FieldsSeq(string(text)) {
		version, share, _ := strings.Cut(pair, "=")
		if shares[version], err = strconv.ParseFloat(share, 64); err != nil {
			t.Fatal(err)
		}
	}
	return shares
}

func (w world) Effects(t *testing.T) []targettest.Effect {
	t.Helper()
	file, err := os.Open(filepath.Join(w.dir, "log"))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var effects []targettest.Effect
	running := map[string]bool{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		word := strings.Fields(lines.Text())
		if len(word) != 3 {
			t.Fatalf("torn line %q", lines.Text())
		}
		fence, err := strconv.ParseInt(word[2], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if word[0] == "end" {
			delete(running, word[1])
			continue
		}
		effects = append(effects, targettest.Effect{OpID: word[1], Fence: fence, Overlapped: len(running) > 0})
		running[word[1]] = true
	}
	return effects
}

var faultNames = map[targettest.Fault]string{
	targettest.Unreachable: "Unreachable", targettest.Hang: "Hang", targettest.Halfway: "Halfway", targettest.Lie: "Lie",
}

func (w world) Break(t *testing.T, fault targettest.Fault) func() {
	path := write(t, filepath.Join(w.dir, "fault"), faultNames[fault]+"\n")
	return func() { _ = os.Remove(path) }
}

func TestTheCommandTargetKeepsTheContract(t *testing.T) {
	targettest.Run(t, targettest.Case{
		Open: func(t *testing.T) targettest.Fixture {
			w := newWorld(t)
			o := w.options()
			return targettest.Fixture{
				Target: w.open(t, o), World: w, Reopen: func(t *testing.T) adg.Target { return w.open(t, o) },
			}
		},
		Faults: []targettest.Fault{targettest.Unreachable, targettest.Hang, targettest.Halfway, targettest.Lie},
		Fences: true,
	})
}

func TestWithoutCurrentTheTargetKeepsTheContractAndReportsNothing(t *testing.T) {
	targettest.Run(t, targettest.Case{
		Open: func(t *testing.T) targettest.Fixture {
			w := newWorld(t)
			o := w.options()
			o.Current.Path, o.Shares, o.Idle = "", false, false
			return targettest.Fixture{
				Target: w.open(t, o), World: w, Reopen: func(t *testing.T) adg.Target { return w.open(t, o) },
			}
		},
		Faults: []targettest.Fault{targettest.Unreachable, targettest.Hang, targettest.Halfway, targettest.Lie},
		Fences: true,
	})
}
