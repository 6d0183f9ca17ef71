package ansible

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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

// deployText makes a version live on a host, which is a folder, and writes down when it began and ended.
const deployText = `
cd "$1"; host=$2 version=$3 op=$4 fence=$5 token=$6
fault=$(cat fault 2>/dev/null)
[ "$fault" != Hang ] || exec sleep 600
echo "begin $op $fence" >>log
if [ "$fault" = Halfway ]; then rm fault; echo "$version" >$host; echo "end $op $fence" >>log; echo "lost the connection ($token)" >&2; exit 1; fi
[ "$fault" = Lie ] || { echo "$version" >$host.new && mv $host.new $host; }
echo "end $op $fence" >>log
`

const lookText = `
cd "$1"
[ "$(cat fault 2>/dev/null)" != Hang ] || exec sleep 600
cat "$2"
`

const deployBook = `
- hosts: all
  gather_facts: false
  tasks:
    - name: make the release live
      ansible.builtin.raw: "/bin/sh {{ world }}/deploy {{ world }} {{ inventory_hostname }} {{ adg_version }} {{ adg_operation }} {{ adg_fence }} {{ token }}"
`

const lookBook = `
- hosts: all
  gather_facts: false
  tasks:
    - name: read the version
      ansible.builtin.raw: "/bin/sh {{ world }}/look {{ world }} {{ inventory_hostname }}"
      register: live
      changed_when: false
    - ansible.builtin.set_stats:
        data: {adg_live: "{{ live.stdout | trim }}"}
        per_host: true
        aggregate: false
`

// world is a project of Ansible whose hosts are files in its folder, reached by the local connection.
type world struct {
	dir   string
	hosts []string
}

// newWorld has v1 live on so many hosts.
func newWorld(t *testing.T, hosts int) world {
	t.Helper()
	if _, err := os.Stat(Driver.Options.(Options).Program); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no ansible-playbook: scripts/test-servers installs it")
		}
		t.Skip("there is no ansible-playbook: scripts/test-servers installs it")
	}
	w := world{dir: t.TempDir()}
	for i := range hosts {
		w.hosts = append(w.hosts, "web"+strconv.Itoa(i+1))
		w.write(t, w.hosts[i], "v1\n")
	}
	w.write(t, "deploy", deployText)
	w.write(t, "look", lookText)
	w.write(t, "deploy.yml", deployBook)
	w.write(t, "look.yml", lookBook)
	w.inventory(t, "")
	return w
}

// inventory has all hosts but one reached by the local connection; that one has a port where nobody listens.
func (w world) inventory(t *testing.T, away string) {
	t.Helper()
	var text strings.Builder
	for _, host := range w.hosts {
		how := "ansible_connection=local"
		if host == away || away == "all" {
			closed, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			how = "ansible_host=127.0.0.1 ansible_port=" + strconv.Itoa(closed.Addr().(*net.TCPAddr).Port)
			_ = closed.Close()
		}
		fmt.Fprintf(&text, "%s %s\n", host, how)
	}
	w.write(t, "hosts", text.String())
}

func (w world) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (w world) options() Options {
	o := Driver.Options.(Options)
	o.Dir, o.Inventory, o.Playbook, o.Current = w.dir, "hosts", "deploy.yml", "look.yml"
	o.Vars = map[string]string{"world": w.dir}
	o.SecretVars = map[string]adg.Secret{"token": adg.NewSecret(targettest.Planted)}
	return o
}

func (w world) open(t *testing.T, o Options) adg.Target {
	t.Helper()
	target, err := Driver.Open(t.Context(), o, w.host())
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func (w world) host() adg.Host {
	return adg.Host{Name: "shop", Dir: filepath.Join(w.dir, "state"), Commands: true}
}

func (w world) Shares(t *testing.T) map[string]float64 {
	t.Helper()
	shares := map[string]float64{}
	for _, host := range w.hosts {
		text, err := os.ReadFile(filepath.Join(w.dir, host))
		if err != nil {
			t.Fatal(err)
		}
		shares[strings.TrimSpace(string(text))] += 100 / float64(len(w.hosts))
	}
	return shares
}

// Effects are what playbooks did to hosts.
func (w world) Effects(t *testing.T) []targettest.Effect {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, "log"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var effects []targettest.Effect
	running := map[string]int{}
	for line := range strings.Lines(string(text)) {
		word := strings.Fields(line)
		if len(word) != 3 {
			t.Fatalf("torn line %q", line)
		}
		if word[0] == "end" {
			running[word[1]]--
			continue
		}
		fence, err := strconv.ParseInt(word[2], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		overlapped := false
		for op, n := range running {
			overlapped = overlapped || n > 0 && op != word[1]
		}
		effects = append(effects, targettest.Effect{OpID: word[1], Fence: fence, Overlapped: overlapped})
		running[word[1]]++
	}
	return effects
}

func (w world) Break(t *testing.T, fault targettest.Fault) func() {
	if fault == targettest.Unreachable {
		w.inventory(t, "all")
		return func() { w.inventory(t, "") }
	}
	w.write(t, "fault", map[targettest.Fault]string{targettest.Hang: "Hang", targettest.Halfway: "Halfway", targettest.Lie: "Lie"}[fault])
	return func() { _ = os.Remove(filepath.Join(w.dir, "fault")) }
}
