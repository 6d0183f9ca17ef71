package helm

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/process"
)

// queryTimeout is how long helm may take to read something.
const queryTimeout = 30 * time.Second

// helm runs it for an answer.
func (t *target) helm(ctx context.Context, args ...string) ([]byte, error) {
	result, err := t.start(ctx, queryTimeout, args)
	return result.Stdout, err
}

// start runs helm, and makes an error of an exit status that is not 0.
func (t *target) start(ctx context.Context, timeout time.Duration, args []string) (process.Result, error) {
	if err := t.host.MayStart(t.o.Program); err != nil {
		return process.Result{}, err
	}
	where, done, err := t.where()
	if err != nil {
		return process.Result{}, err
	}
	defer done()
	result, err := process.Run(ctx, process.Spec{
		Path: t.o.Program, Args: append(args, where...), Env: environment(), Timeout: timeout, MaxOutput: 8 << 20,
	})
	if err == nil && result.Exit != 0 {
		err = t.complaint(args[0], result)
	}
	return result, err
}

// where are the flags that say which cluster is meant. A token goes to helm in a file that only this user can read, and
// that is gone when helm has ended: arguments are seen by everybody on the machine.
func (t *target) where() (flags []string, done func(), err error) {
	flags = []string{"--namespace", t.client.Namespace()}
	switch {
	case t.o.Kubeconfig != "":
		flags = append(flags, "--kubeconfig", t.o.Kubeconfig)
		if t.o.Context != "" {
			flags = append(flags, "--kube-context", t.o.Context)
		}
		return flags, func() {}, nil
	case t.o.Server == "":
		return flags, func() {}, nil // the pod's service account, which helm finds as adg does
	}
	config, err := t.kubeconfig()
	if err == nil {
		err = os.MkdirAll(t.host.Dir, 0o700)
	}
	if err != nil {
		return nil, nil, adg.Errorf(adg.Unavailable, "write the credentials for helm: %w", err)
	}
	file, err := os.CreateTemp(t.host.Dir, "kubeconfig-*")
	if err != nil {
		return nil, nil, adg.Errorf(adg.Unavailable, "write the credentials for helm: %w", err)
	}
	done = func() { _ = os.Remove(file.Name()) }
	_, err = file.Write(config)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		done()
		return nil, nil, adg.Errorf(adg.Unavailable, "write the credentials for helm: %w", err)
	}
	return append(flags, "--kubeconfig", file.Name()), done, nil
}

func (t *target) kubeconfig() ([]byte, error) {
	cluster := map[string]string{"server": t.o.Server}
	if t.o.CAFile != "" {
		cluster["certificate-authority"] = t.o.CAFile
	}
	named := func(key string, value any) []any { return []any{map[string]any{"name": "adg", key: value}} }
	return json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "adg",
		"clusters": named("cluster", cluster), "users": named("user", map[string]string{"token": t.o.Token.Reveal()}),
		"contexts": named("context", map[string]string{"cluster": "adg", "user": "adg"}),
	})
}

// environment is what helm needs to find its own settings, repositories and caches, the service account of a pod, and a proxy.
func environment() []string {
	names := []string{"PATH", "HOME", "TMPDIR", "KUBECACHEDIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "DOCKER_CONFIG", "SSL_CERT_FILE", "SSL_CERT_DIR"}
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return !slices.Contains(names, strings.ToUpper(name)) && !strings.HasPrefix(name, "HELM_") && !strings.HasPrefix(name, "KUBERNETES_SERVICE_")
	})
}

// complaint says of what kind helm's refusal is. It has one exit status for all of them.
func (t *target) complaint(verb string, result process.Result) error {
	said := t.client.Scrub(strings.TrimSpace(string(result.Stderr)))
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(said, part) })
	}
	switch {
	case has("another operation (install/upgrade/rollback) is in progress"):
		return adg.Errorf(adg.Conflict, "helm %s: %s", verb, said)
	case has("Unauthorized", "must be logged in", "is forbidden"):
		return adg.Permanent(adg.Errorf(adg.Unauthorized, "helm %s: %s: grant the right, or renew the credentials", verb, said))
	case has("release: not found", "has no 0 release", "chart not found", "no such file or directory", "no chart version found"):
		return adg.Permanent(adg.Errorf(adg.NotFound, "helm %s: %s", verb, said))
	case has("unknown flag", "unknown command"):
		return adg.Permanent(adg.Errorf(adg.Invalid, "helm %s: %s: use helm 3.14 or later", verb, said))
	default:
		return adg.Errorf(adg.Unavailable, "helm %s: %s", verb, said)
	}
}

// tail is the end of what helm wrote.
func (t *target) tail(result process.Result) string {
	text := t.redact(string(result.Stdout) + string(result.Stderr))
	return strings.ToValidUTF8(text[max(0, len(text)-adg.MaxLog):], "")
}
