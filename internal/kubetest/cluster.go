// Package kubetest runs a real Kubernetes control plane for tests: etcd, the API server with RBAC, the controllers and
// the scheduler, and kwok, which plays nodes and the pods on them.
package kubetest

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
	"github.com/deployguardian/adg/internal/porttest"
)

// ErrMissing says that the programs are not installed on this machine.
var ErrMissing = errors.New("run scripts/test-kubernetes, which builds the programs of Kubernetes that the tests need")

// Cluster is a control plane that runs on this machine's loopback.
type Cluster struct {
	Server string // its address
	CAFile string // the authority of its certificate
	Token  adg.Secret
	Dir    string // for what is to be removed when it stops

	processes  []*exec.Cmd
	nodes      *exec.Cmd  // plays them
	frozen     sync.Mutex // held while the nodes are: there is one set of them for all tests
	namespaces atomic.Int64
	admin      *kube.Client    // of the namespace default
	transport  *http.Transport // to the API server, for gates
}

// Token that the cluster knows as an administrator's. It opens a cluster on the loopback, which ends with its test.
const adminToken = "kubetest-admin"

// Main runs the tests of a package with a cluster of their own, which it gives to them by set, and exits. Where the
// programs are missing the tests run without: Need skips them.
func Main(m *testing.M, set func(*Cluster)) {
	cluster, err := Start()
	switch {
	case err == nil:
		set(cluster)
	case !errors.Is(err, ErrMissing):
		fmt.Fprintln(os.Stderr, "the cluster did not start:", err)
		os.Exit(1)
	}
	code := m.Run()
	cluster.Stop()
	os.Exit(code)
}

// Need skips the test where there is no cluster; where everything has to be there, it fails.
func Need(t testing.TB, c *Cluster) *Cluster {
	t.Helper()
	if c == nil && os.Getenv("CI") == "true" {
		t.Fatal(ErrMissing)
	}
	if c == nil {
		t.Skip(ErrMissing)
	}
	return c
}

// Start starts a cluster with three nodes and waits until it works. Stop ends it; so does the end of this process.
func Start() (*Cluster, error) {
	programs := map[string]string{}
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"} {
		path, err := find(name)
		if err != nil {
			return nil, err
		}
		programs[name] = path
	}
	dir, err := os.MkdirTemp("", "kubetest")
	if err != nil {
		return nil, err
	}
	c := &Cluster{Dir: dir, Token: adg.NewSecret(adminToken)}
	if err := c.boot(programs); err != nil {
		err = errors.Join(err, c.logs())
		c.Stop()
		return nil, err
	}
	return c, nil
}

// Stop ends the cluster and forgets it; nil is fine.
func (c *Cluster) Stop() {
	if c == nil {
		return
	}
	for i := len(c.processes) - 1; i >= 0; i-- {
		_ = c.processes[i].Process.Kill()
		_ = c.processes[i].Wait()
	}
	c.processes = nil
	if c.admin != nil {
		_ = c.admin.Close()
		c.transport.CloseIdleConnections()
	}
	_ = os.RemoveAll(c.Dir)
}

// Namespace makes a namespace for one test.
func (c *Cluster) Namespace(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test-%d", c.namespaces.Add(1))
	object := map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name}}
	if err := c.admin.Create(t.Context(), kube.Resource{Version: "v1", Plural: "namespaces", Cluster: true}, object, nil); err != nil {
		t.Fatal(err)
	}
	return name
}

// Admin is a client that may do everything, for a namespace. All of them share their connections.
func (c *Cluster) Admin(t testing.TB, namespace string) *kube.Client {
	t.Helper()
	client, err := c.admin.In(namespace)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// ServiceAccount makes a service account in a namespace and a token of it that ends after ten minutes. It may do
// nothing, until a role is bound to it.
func (c *Cluster) ServiceAccount(t testing.TB, namespace, name string) adg.Secret {
	t.Helper()
	admin := c.Admin(t, namespace)
	accounts := kube.Resource{Version: "v1", Plural: "serviceaccounts"}
	if err := admin.Create(t.Context(), accounts, map[string]any{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": map[string]any{"name": name}}, nil); err != nil {
		t.Fatal(err)
	}
	request := map[string]any{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": map[string]any{"expirationSeconds": 600}}
	var made struct {
		Status struct {
			Token string `json:"token"`
		} `json:"status"`
	}
	tokens := kube.Resource{Version: "v1", Plural: "serviceaccounts/" + name + "/token"}
	if err := admin.Create(t.Context(), tokens, request, &made); err != nil {
		t.Fatal(err)
	}
	return adg.NewSecret(made.Status.Token)
}

// Define teaches the cluster a kind of object, by its CustomResourceDefinition, and waits until it serves it.
func (c *Cluster) Define(definition map[string]any, served kube.Resource) error {
	definitions := kube.Resource{Group: "apiextensions.k8s.io", Version: "v1", Plural: "customresourcedefinitions", Cluster: true}
	if err := c.admin.Create(context.Background(), definitions, definition, nil); err != nil {
		return err
	}
	return c.until(served.String()+" is served", func() error {
		_, err := kube.List[any](context.Background(), c.admin, served, kube.Selection{})
		return err
	})
}

// Launch starts a controller that scripts/test-kubernetes has built; it logs in as an administrator, and ends with the
// cluster. Where the program is missing the error is ErrMissing.
func (c *Cluster) Launch(name string, args ...string) error {
	program, err := find(name)
	if err != nil {
		return err
	}
	return c.start(program, append([]string{"--kubeconfig=" + c.path("kubeconfig")}, args...)...)
}

// Asset is the text of a file that scripts/test-kubernetes has put beside the programs.
func Asset(name string) ([]byte, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(cache, "adg-test", name))
	if err != nil {
		return nil, fmt.Errorf("%s is not here: %w", name, ErrMissing)
	}
	return text, nil
}

// FreePorts are ports of the loopback that nobody listens on now.
func FreePorts(n int) ([]string, error) { return freePorts(n) }

// Freeze stops the nodes, so that no pod becomes ready or ends, or lets them go on.
func (c *Cluster) Freeze(t testing.TB, frozen bool) {
	t.Helper()
	signal := syscall.SIGCONT
	if frozen {
		signal = syscall.SIGSTOP
	}
	if err := c.nodes.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

// Private

var nodes = kube.Resource{Version: "v1", Plural: "nodes", Cluster: true}

const startTimeout = 5 * time.Minute

// find finds a program on the path, or where scripts/test-kubernetes puts it.
func find(name string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	for _, candidate := range []string{filepath.Join(cache, "adg-test", name), name, "/usr/bin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not here: %w", name, ErrMissing)
}

// connect makes what the tests reach the API server with. Its certificate is there once it is ready.
func (c *Cluster) connect() error {
	o := kube.Defaults()
	o.Server, o.CAFile, o.Token, o.Namespace, o.Timeout = c.Server, c.CAFile, c.Token, "default", 30*time.Second
	authority, err := os.ReadFile(c.CAFile)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	c.transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, MaxIdleConnsPerHost: 64}
	c.admin, err = kube.Open(o, adg.Host{})
	return err
}

func (c *Cluster) boot(programs map[string]string) error {
	ports, err := freePorts(4)
	if err != nil {
		return err
	}
	if err := c.credentials(); err != nil {
		return err
	}
	storage, peer := "http://127.0.0.1:"+ports[0], "http://127.0.0.1:"+ports[1]
	c.Server = "https://127.0.0.1:" + ports[2]
	if err := c.start(programs["etcd"], "--data-dir="+c.path("etcd"), "--unsafe-no-fsync", "--listen-client-urls="+storage, "--advertise-client-urls="+storage,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer, "--log-level=error"); err != nil {
		return err
	}
	if err := c.start(programs["kube-apiserver"], "--etcd-servers="+storage, "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port="+ports[2], "--cert-dir="+c.path("cert"),
		"--authorization-mode=RBAC", "--token-auth-file="+c.path("tokens.csv"), "--service-account-issuer=https://kubernetes.default.svc",
		"--kubelet-preferred-address-types=InternalIP", // the nodes have no names that resolve
		"--service-account-signing-key-file="+c.path("key.pem"), "--service-account-key-file="+c.path("key.pem"),
		// Pods of the tests need no service account of their own, and new nodes no controller that takes their taint away.
		"--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
		"--feature-gates=WatchList=false", // Debian's etcd is too old for it
		"--service-cluster-ip-range=10.96.0.0/16", "--endpoint-reconciler-type=none", "--v=0"); err != nil {
		return err
	}
	if err := c.ready(); err != nil {
		return err
	}
	if err := c.connect(); err != nil {
		return err
	}
	if err := os.WriteFile(c.path("kubeconfig"), []byte(c.Kubeconfig(c.Token)), 0o600); err != nil {
		return err
	}
	kubeconfig := "--kubeconfig=" + c.path("kubeconfig")
	controllers := "--controllers=deployment-controller,replicaset-controller,statefulset-controller,daemonset-controller,endpointslice-controller,disruption-controller,resourcequota-controller,garbage-collector-controller"
	if err := c.start(programs["kube-controller-manager"], kubeconfig, controllers, "--leader-elect=false", "--secure-port=0", "--bind-address=127.0.0.1",
		"--kube-api-qps=500", "--kube-api-burst=1000", "--min-resync-period=12h"); err != nil {
		return err
	}
	if err := c.start(programs["kube-scheduler"], kubeconfig, "--leader-elect=false", "--secure-port=0", "--bind-address=127.0.0.1", "--kube-api-qps=500", "--kube-api-burst=1000"); err != nil {
		return err
	}
	if err := os.WriteFile(c.path("stages.yaml"), []byte(stages), 0o600); err != nil {
		return err
	}
	if err := c.Define(podLogsDefinition, podLogs); err != nil {
		return err
	}
	if err := c.start(programs["kwok"], kubeconfig, "--manage-all-nodes=true", "--config="+c.path("stages.yaml"), "--enable-crds=Logs", "--server-address=127.0.0.1:"+ports[3], "--node-port="+ports[3],
		"--cidr=10.0.0.0/16", "--node-ip=127.0.0.1", "--node-lease-duration-seconds=0"); err != nil {
		return err
	}
	c.nodes = c.processes[len(c.processes)-1]
	return c.addNodes()
}

// Kubeconfig is the text of a kubeconfig that logs in with a token.
func (c *Cluster) Kubeconfig(token adg.Secret) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"test",
"clusters":[{"name":"test","cluster":{"server":%q,"certificate-authority":%q}}],
"users":[{"name":"test","user":{"token":%q}}],
"contexts":[{"name":"test","context":{"cluster":"test","user":"test"}}]}`, c.Server, c.CAFile, token.Reveal())
}

func (c *Cluster) path(name string) string { return filepath.Join(c.Dir, name) }

// credentials writes the key of service accounts and the administrator's token; the server makes its certificate itself.
func (c *Cluster) credentials() error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	c.CAFile = c.path("cert/apiserver.crt")
	return errors.Join(os.WriteFile(c.path("key.pem"), text, 0o600),
		os.WriteFile(c.path("tokens.csv"), []byte(adminToken+",admin,1,system:masters\n"), 0o600))
}

func (c *Cluster) start(program string, args ...string) error {
	log, err := os.Create(c.path(filepath.Base(program) + ".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	command := exec.Command(program, args...)
	command.Dir, command.Stdout, command.Stderr = c.Dir, log, log
	command.Env = append(os.Environ(), "KUBE_FEATURE_WatchListClient=false", "GOGC=400")
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		return err
	}
	c.processes = append(c.processes, command)
	return nil
}

// ready waits until the API server says that it is.
func (c *Cluster) ready() error {
	client := &http.Client{Timeout: 5 * time.Second}
	return c.until("the API server is ready", func() error {
		authority, err := os.ReadFile(c.CAFile)
		if err != nil {
			return err
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(authority)
		client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}
		req, err := http.NewRequest(http.MethodGet, c.Server+"/readyz", nil)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+adminToken)
		answer, err := client.Do(req)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			body, _ := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
			return fmt.Errorf("%s: %s", answer.Status, body)
		}
		return nil
	})
}

// addNodes makes three nodes and waits until kwok has brought them up.
func (c *Cluster) addNodes() error {
	for i := range 3 {
		node := map[string]any{"apiVersion": "v1", "kind": "Node", "metadata": map[string]any{
			"name": "node-" + strconv.Itoa(i), "annotations": map[string]any{"kwok.x-k8s.io/node": "fake"},
			"labels": map[string]any{"kubernetes.io/hostname": "node-" + strconv.Itoa(i)},
		}}
		if err := c.admin.Create(context.Background(), nodes, node, nil); err != nil {
			return err
		}
	}
	return c.until("the nodes are ready", func() error {
		for i := range 3 {
			ready, err := nodeReady(c.admin, i)
			if err != nil || !ready {
				return fmt.Errorf("node %d is not ready: %w", i, err)
			}
		}
		return nil
	})
}

func nodeReady(admin *kube.Client, i int) (bool, error) {
	var node struct {
		Spec struct {
			Taints []any `json:"taints"`
		} `json:"spec"`
		Status struct {
			Conditions []struct{ Type, Status string } `json:"conditions"`
		} `json:"status"`
	}
	if err := admin.Get(context.Background(), nodes, "node-"+strconv.Itoa(i), &node); err != nil {
		return false, err
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == "Ready" {
			return condition.Status == "True", nil
		}
	}
	return false, nil
}

// until asks again until the answer is no error, as nobody says when a process that starts is done.
func (c *Cluster) until(what string, ask func() error) error {
	deadline := time.NewTimer(startTimeout)
	defer deadline.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return fmt.Errorf("%s: not within %s: %w", what, startTimeout, err)
		}
	}
}

// logs is what the processes said last.
func (c *Cluster) logs() error {
	var all []error
	files, _ := filepath.Glob(c.path("*.log"))
	for _, file := range files {
		text, _ := os.ReadFile(file)
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		all = append(all, fmt.Errorf("%s:\n%s", filepath.Base(file), strings.Join(lines[max(0, len(lines)-8):], "\n")))
	}
	return errors.Join(all...)
}

func freePorts(n int) ([]string, error) {
	var ports []string
	for range n {
		port, err := porttest.Free()
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}
